"""The backend of the cluster itself, which uses the services of `entry/admin`."""
