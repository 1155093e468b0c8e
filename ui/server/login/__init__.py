"""Login: accounts, authentication, sessions of those who signed in, and the pages for it."""
