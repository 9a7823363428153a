"""hookstream turns the events of a platform into signed webhooks for its partners, on Kafka.

Read the packages in this order: `core.model` has the nouns; the other folders of `core` are the
decisions, in the order in which an event meets them; `pipeline` walks an event through them;
`adapters` wrap the outside; `entry` has the entry points. ARCHITECTURE.md has the details.
"""

__version__ = "0.1.0"
