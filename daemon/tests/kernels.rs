//! The plan for kernels that mmscope has met, from the facts that each of them gave: a snapshot of every decision.
//!
//! A file in `facts` is what `mmscope doctor --facts` printed there. After a change that is meant, `cargo insta accept`
//! or `INSTA_UPDATE=always` takes the new snapshots.

use std::{fmt::Write as _, fs, path::Path};

use mmscope::{
    kernel::KernelFacts,
    plan::{Decision, HOOKS, Plan},
};

fn decisions(decisions: &[Decision]) -> String {
    let mut text = String::new();
    for (hook, decision) in HOOKS.iter().zip(decisions) {
        let _ = match decision {
            Decision::Attach => writeln!(text, "{:<28} attach", hook.name),
            Decision::Absent(reason) => writeln!(text, "{:<28} absent: {reason}", hook.name),
        };
    }
    text
}

fn places(relocations: &[Option<i32>]) -> String {
    let places: Vec<String> =
        relocations.iter().enumerate().filter_map(|(id, place)| Some(format!("{id}:{}", (*place)?))).collect();
    format!("relocations {}\n", places.join(" "))
}

/// With fentry switched off.
fn text_by_kprobes(plan: &Plan) -> String {
    match &plan.kprobes {
        Ok(kprobes) => decisions(&kprobes.decisions) + &places(&kprobes.relocations),
        Err(reason) => format!("no kprobe: {reason}\n"),
    }
}

fn text(plan: &Plan) -> String {
    let mut text = decisions(&plan.decisions);
    let _ = writeln!(
        text,
        "task_btf {}, stack_regs {}, mm_owner {}, ctx_id {}, cgroup {}, pending {}",
        plan.has_task_btf, plan.has_stack_regs, plan.has_mm_owner, plan.has_ctx_id, plan.has_cgroup, plan.has_pending
    );
    let _ = writeln!(
        text,
        "inline changes {}, programs of a function {}, under a spinlock {}, of a tracepoint {}, mmap_lock by {}, else by {}",
        plan.inline_changes,
        plan.function_programs,
        plan.spinlock_programs,
        plan.tracepoint_programs,
        plan.lock_ways[0].name(),
        plan.lock_ways[1].name()
    );
    text + &places(&plan.relocations)
}

#[test]
fn every_known_kernel_has_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts");
    let mut kernels = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let facts: KernelFacts = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let plan = Plan::new(&facts);
        insta::assert_snapshot!(format!("{name}-kprobes"), text_by_kprobes(&plan));
        insta::assert_snapshot!(name, text(&plan));
        kernels += 1;
    }
    assert!(kernels >= 6, "{kernels} kernels");
}
