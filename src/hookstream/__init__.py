"""hookstream turns the events of a platform into signed webhooks for its partners, on Kafka.

Read the packages in this order: `core.model` has the nouns; the other folders of `core` are the
decisions, in the order in which an event meets them; `pipeline` walks an event through them;
`adapters` names the outside; `entry` has the doors. ARCHITECTURE.md says the same at length.
"""

__version__ = "0.1.0"
