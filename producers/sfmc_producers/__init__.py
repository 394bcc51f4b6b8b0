"""What turns arrivals into requests; knows of the worker only its wire form and its door."""
