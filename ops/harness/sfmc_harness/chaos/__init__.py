"""The rooms of the chaos program: what is run, what is done to it, and how it is judged; nothing of production."""
