"""Operators' commands on the cluster itself, by the services of `entry/admin`."""
