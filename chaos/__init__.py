"""Shows the promise on real Kafka, whatever is killed meanwhile. Never imported by the product."""
