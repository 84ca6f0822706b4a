"""What a release has beside its images: chart, SBOM, licences, checksums, provenance."""
