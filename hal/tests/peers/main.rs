//! What the backends say to independent programs, and those to them.

#[cfg(test)]
mod probes;
