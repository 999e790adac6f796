//! mmscope, user side. Rooms in the order in which data passes them; see ARCHITECTURE.md.

pub mod kernel;
pub mod plan;
pub mod attach;
pub mod intake;
pub mod identity;
pub mod model;
pub mod export;
pub mod web;

pub mod cli;
pub mod config;
pub mod doctor;
pub mod failure;
pub mod privileges;
pub mod run;
pub mod terminal;
