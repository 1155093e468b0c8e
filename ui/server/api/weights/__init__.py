"""Models at the API one by one: licences and weights."""
