"""What people fill in and stick on: sheets to complete, labels to print."""
