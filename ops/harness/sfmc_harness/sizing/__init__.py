"""What a load needs, by a model that is fed with the figures of the bench, and a day of it in compressed time."""
