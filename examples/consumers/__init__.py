"""Six typical consumers of signed webhooks, as a partner would write them."""
