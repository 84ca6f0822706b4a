"""Container images without a container engine: Debian packages, a chroot, and an OCI archive."""
