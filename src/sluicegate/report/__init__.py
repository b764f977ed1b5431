"""Verified records to words: for people, for code scanning, for SIEMs. Pure; only what `verify` gave is told."""
