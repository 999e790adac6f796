//! The program as its users run it: one line of JSON, exact counts, exit status.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const UNSUPPORTED: i32 = 3;

fn mmload(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mmload")).args(words.split(' ')).output().unwrap()
}

/// The last line, if the run succeeded; None if this machine cannot do it.
fn counts(words: &str) -> Option<Value> {
    let output = mmload(words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(UNSUPPORTED) {
        eprintln!("skipped: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{words}: {stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    Some(serde_json::from_str(stdout.lines().last().unwrap()).unwrap())
}

/// Asserts that `all` has the keys of `some`, with the same values.
fn assert_holds(all: &Value, some: Value) {
    for (key, value) in some.as_object().unwrap() {
        assert_eq!(&all[key], value, "{key} of {all}");
    }
}

#[test]
fn cycles_are_multiplied_out() {
    let all = counts("mprotect --cycles 50 --pages 3").unwrap();
    assert_holds(&all, json!({"command": "mprotect", "mprotect_calls": 100, "writes": 150, "threads": 1}));
    let all = counts("mprotect-vmas --cycles 5 --vmas 9").unwrap();
    assert_holds(&all, json!({"mprotect_calls": 10, "vmas_per_call": 9, "vma_changes": 90, "writes": 45}));
    let all = counts("dontneed --cycles 10 --pages 4 --threads 2").unwrap();
    assert_holds(&all, json!({"madvise_calls": 20, "page_touches": 80}));
    if let Some(all) = counts("dontneed --cycles 10 --bystander") {
        assert_holds(&all, json!({"madvise_calls": 10, "page_touches": 10, "threads": 1}));
        assert!(all["bystander_cpu"].as_u64().unwrap() > 0, "{all}");
    }
    let all = counts("munmap --cycles 10 --pages 4 --threads 2").unwrap();
    assert_holds(&all, json!({"mmap_calls": 20, "munmap_calls": 20, "page_touches": 80}));
    assert_holds(&counts("flip --cycles 10 --threads 3").unwrap(), json!({"mprotect_calls": 60, "writes": 30}));
    assert_holds(&counts("getppid --calls 10").unwrap(), json!({"getppid_calls": 10}));
    assert_holds(&counts("forkexec --count 2 --name kid").unwrap(), json!({"forks": 2, "execs": 2, "waits": 2}));
    assert_holds(&counts("forkexec --count 7 --exec-every 3").unwrap(), json!({"forks": 7, "execs": 3, "waits": 7}));
}

#[test]
fn locks_are_counted_by_mode() {
    let all = counts("lock-hold --writers 2 --readers 3 --ops 20 --pages 64").unwrap();
    assert_holds(&all, json!({"write_locks": 40, "read_locks": 60, "mprotect_calls": 40, "mincore_calls": 60}));
    let all = counts("lock-hold --writers 1 --readers 1 --ops 20 --pages 8 --write-op munmap").unwrap();
    assert_holds(&all, json!({"write_locks": 40, "mmap_calls": 20, "munmap_calls": 20, "page_touches": 160}));
    assert_holds(&counts("lock-readers --ops 7 --threads 3").unwrap(), json!({"read_locks": 21, "write_locks": 0}));
    assert_holds(&counts("lock-writers --ops 7 --threads 3").unwrap(), json!({"read_locks": 0, "write_locks": 21}));
}

#[test]
fn every_fault_has_its_ioctl() {
    let Some(all) = counts("uffd --missing 20 --wp 30 --explicit-wake") else { return };
    assert_holds(&all, json!({"missing_faults": 20, "wp_faults": 30, "ioctl_failures": {}}));
    let ioctls = json!({"api": 1, "register": 2, "unregister": 2, "copy": 20, "wake": 50, "writeprotect_wp": 1,
                        "writeprotect_unwp": 30});
    assert_eq!(all["ioctls"], ioctls);
}

#[test]
fn a_handlers_delay_is_seen_by_who_faults() {
    let Some(all) = counts("uffd-missing --faults 5 --delay-us 2000") else { return };
    assert!(all["missing_times"]["op_ns_min"].as_u64().unwrap() >= 2_000_000, "{all}");
    let Some(all) = counts("uffd-wp --faults 5 --delay-us 2000") else { return };
    assert!(all["wp_times"]["op_ns_min"].as_u64().unwrap() >= 2_000_000, "{all}");
}

#[test]
fn failures_are_made_to_order() {
    let Some(all) = counts("uffd-errors --eexist 3 --enoent 4 --einval 5") else { return };
    assert_eq!(all["ioctls"]["copy"], 12);
    assert_eq!(all["ioctl_failures"], json!({"copy": {"EEXIST": 3, "ENOENT": 4, "EINVAL": 5}}));
}

#[test]
fn a_race_loses_nothing_where_the_kernel_is_fixed() {
    let Some(all) = counts("uffd-race --rounds 20 --pages 2048") else { return };
    assert_holds(&all, json!({"rounds": 20, "rounds_with_lost_increments": 0, "lost_increments": 0}));
    assert_eq!(all["ioctls"]["writeprotect_unwp"], 21);
    assert!(all["increments"].as_u64().unwrap() >= 20_000, "{all}");
}

#[test]
fn soft_dirty_is_cleared_or_said_to_be_unsupported() {
    let Some(all) = counts("clear-refs --cycles 4 --pages 3") else { return };
    assert_holds(&all, json!({"clear_refs_writes": 4, "writes": 12}));
}

#[test]
fn pages_go_out_or_it_is_said_to_be_unsupported() {
    let Some(all) = counts("pageout --cycles 4 --pages 8") else { return };
    assert_holds(&all, json!({"madvise_calls": 4, "page_touches": 32}));
}

#[test]
fn wrong_usage_is_status_2_and_no_json() {
    for words in ["mprotect", "lock-hold --writers 1 --readers 1", "noop --name much-too-long-a-name"] {
        let output = mmload(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn it_waits_for_the_file_and_bears_its_name() {
    let file = std::env::temp_dir().join(format!("mmload-go-{}", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_mmload"))
        .args(["noop", "--name", "waiting-one", "--wait-for"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notice = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut notice).unwrap();
    assert_eq!(notice.trim(), format!("mmload: pid {} waits for {}", child.id(), file.display()));
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
    assert_eq!(comm.trim(), "waiting-one");
    assert!(child.try_wait().unwrap().is_none());

    std::fs::write(&file, "").unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success());
    assert!(output.stdout.ends_with(b"}\n"));
}
