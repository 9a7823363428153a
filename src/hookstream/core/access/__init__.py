"""Who may do what over HTTP: scopes of tokens, their limits, and what each may read and change."""
