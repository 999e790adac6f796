//! The kernel side of mmscope: one object, every program stands alone.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod blame;
mod calls;
mod control;
mod emit;
mod hooks;
mod kernel;
mod lock;
mod log;
mod maps;
mod operation;
mod params;
mod places;
mod range;
mod reclaim;
mod rwsem;
mod shootdown;
mod slots;
mod tasks;
mod turn;
mod userfault;
mod window;
mod write_fault;

/// The kernel lends GPL-only helpers (clock, current task, probe reads) to programs that say so.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Ties this object to the daemon of the same build.
#[used]
#[unsafe(no_mangle)]
static MMSCOPE_ABI: u64 = probe_common::abi::ABI;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
