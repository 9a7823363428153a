"""What hookstream costs, measured with everything on. Never imported by the product."""
