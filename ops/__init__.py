"""What surrounds the product: sandbox, embedded parts, demo, documents and measurements."""
