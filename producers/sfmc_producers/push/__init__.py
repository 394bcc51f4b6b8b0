"""What senders post: one file for each form, pure; the server brings the bytes, and checks who sent them."""
