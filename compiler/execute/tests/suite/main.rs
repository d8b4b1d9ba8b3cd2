//! Builds of small actions, over a store in memory and one on disk.

mod bench;
mod cache;
mod concurrency;
mod damage;
mod failure;
mod glue;
mod integrity;
mod over;
mod power_loss;
mod trust;
