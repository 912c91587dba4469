pub mod exchange;
pub mod exhaust;
pub mod failure;
pub mod heads;
pub mod reach;
pub mod reflect;
pub mod stream;
