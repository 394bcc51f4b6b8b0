"""The transport over real servers and real Celery workers."""
