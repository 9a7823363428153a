"""The process `hookstream jobs run`: it works on jobs that nobody holds."""
