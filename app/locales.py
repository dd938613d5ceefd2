"""The ways of writing numbers and dates that people may choose from."""

LOCALES = ("en", "en_GB", "en_US", "de", "fr", "es", "it", "nl", "pl", "pt", "sv")
