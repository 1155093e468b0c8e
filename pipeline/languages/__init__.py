"""Messages for people, and their sentences in each language. Knows no other package."""
