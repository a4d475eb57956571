//! The configuration file: every key, its default, and errors that name the key.
