"""The HTTP server of `sfmc-import serve`: takes what senders post, and says how it is."""
