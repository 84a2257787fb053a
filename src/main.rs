//! The program: reads the settings, opens the store, serves.
fn main() {}
