"""An event meets the subscriptions: who wants it, and what each of them is owed."""
