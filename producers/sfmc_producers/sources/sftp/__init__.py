"""The source `sftp`: files that arrive in a folder of an SFTP server."""
