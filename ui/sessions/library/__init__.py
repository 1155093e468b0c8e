"""What ships for users to choose from: background pictures and example clips."""
