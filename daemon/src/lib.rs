//! mmscope, user side. Rooms in the order in which data passes them; see ARCHITECTURE.md.

pub mod anomaly;
pub mod attach;
pub mod books;
pub mod classes;
pub mod export;
pub mod flight;
pub mod governor;
pub mod history;
pub mod identity;
pub mod intake;
pub mod kernel;
pub mod model;
pub mod notify;
pub mod observer;
pub mod plan;
pub mod recording;
pub mod scope;
pub mod web;

pub mod cli;
pub mod cli_pages;
pub mod config;
pub mod diff;
pub mod doctor;
pub mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod memory;
pub mod privileges;
pub mod progress;
pub mod record;
pub mod reload;
pub mod replay;
pub mod report;
pub mod run;
pub mod service;
pub mod terminal;
pub mod timeline;
pub mod top;
pub mod warden;
