//! A guest: QEMU around a kernel and an initramfs, its three serial ports, and how it ended.
//!
//! One port is the kernel's console and goes to a file that is watched for splats; ttyS1 carries the command's output, byte
//! for byte; ttyS2 brings the exit code. A guest that ends without an exit code has failed, whatever it printed.
//! Emulated (TCG): hardware virtualisation is not everywhere, and instruction counts need emulation.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::console::{self, Console};
use crate::initramfs::{self, Contents, GUEST_ADDRESS, GuestFile};
use crate::kernels::{self, Kernel};
use crate::machine::Machine;
use crate::setup::{self, GuestTools, Wants};
use crate::{dist, modules, paths, progress, root, sh, userland};

/// Exit code when the kernel complained, whatever the command's own code was.
const EXIT_SPLAT: u8 = 70;
/// Exit code when the guest ended without one.
const EXIT_DIED: u8 = 71;
/// Exit code when the guest was killed at its time limit, as of timeout(1).
const EXIT_TIMEOUT: u8 = 124;

/// The port that `--forward` passes on, mmscope's own.
const PORT: u16 = 10942;

/// Old runs' folders that are kept.
const KEPT_RUNS: u32 = 20;

/// `cargo xtask vm`.
///
/// The command runs as root in a shell with mmscope and mmload in PATH; its output and its exit code become ours.
/// Exit codes of our own: 70 the kernel complained (BUG, WARNING, stall, panic), 71 the guest ended without an exit
/// code, 124 it was killed at its time limit.
#[derive(Args)]
pub(crate) struct VmArgs {
    /// The beginning of a version ("6.12", "5.10", "7" for the newest 7.x), or the path of a kernel image
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// What the guest is
    #[arg(long, value_enum, default_value_t = Machine::HOST)]
    arch: Machine,
    /// Processors [default: 2, with --icount 1]
    #[arg(long)]
    smp: Option<u32>,
    /// Memory in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Clock counts executed instructions: with one processor the same run gives the same figures, and with several the
    /// guest's time is that of its work, as on a real machine
    #[arg(long)]
    icount: bool,
    /// Emulate each processor in a thread of its own: true concurrency. QEMU before 8.1 then crashes a guest now and then whose
    /// kernel patches its own text, as attaching probes and static keys do
    #[arg(long)]
    parallel: bool,
    /// Pass 127.0.0.1:HOST_PORT of this host to port 10942 of the guest, where mmscope must listen on more than
    /// loopback: `mmscope run --web.listen-address 0.0.0.0:10942`
    #[arg(long, value_name = "HOST_PORT", num_args = 0..=1, require_equals = true, default_missing_value = "10942")]
    forward: Option<u16>,
    /// A file or folder of this host for the guest, at GUEST or /bin/NAME
    #[arg(long, value_name = "HOST[:GUEST]")]
    file: Vec<String>,
    /// Kill the guest after so many seconds
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// A kernel module to load first, with those that it depends on
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// Put Debian's stress-ng into the guest's PATH
    #[arg(long, conflicts_with = "root")]
    stress_ng: bool,
    /// Run on an installation of Debian with these packages instead of on busybox alone; made on first use, and what the
    /// guest changes in it is gone when it ends
    #[arg(long, value_name = "PACKAGES", value_delimiter = ',')]
    root: Option<Vec<String>>,
    /// More for the kernel's command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    append: String,
    /// Build the probes with their log lines, and the daemon to print them
    #[arg(long)]
    probe_log: bool,
    /// Take the binaries of target/dist as they are, none if there are none
    #[arg(long, hide = true)]
    no_build: bool,
    /// What to run: one word is a shell's command line, several are a command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// `cargo xtask vm`: builds what the guest runs, boots it, and passes its exit code on.
pub(crate) fn main(args: &VmArgs) -> Result<ExitCode> {
    let binaries = if args.no_build {
        let files = ["mmscope", "mmload"].map(|name| dist::folder_of(args.arch).join(name));
        files.into_iter().filter(|file| file.is_file()).collect()
    } else {
        let tools = setup::setup(Wants { guests: false })?;
        dist::dist_for(args.arch, &tools, args.probe_log)?.to_vec()
    };
    let tools = setup::guests_of(args.arch)?;
    let mut files: Vec<GuestFile> = binaries.into_iter().map(in_bin).collect();
    for file in &args.file {
        files.push(parse_file(file)?);
    }
    if args.stress_ng {
        files.extend(userland::stress_ng(args.arch)?);
    }
    let kernel = kernels::resolve_for(args.arch, &args.kernel)?;
    let guest = Guest {
        smp: args.smp.unwrap_or(if args.icount { 1 } else { 2 }),
        memory_mib: args.memory,
        icount: args.icount,
        parallel: args.parallel,
        forward: args.forward,
        files,
        modules: args.module.clone(),
        append: args.append.clone(),
        root: args.root.as_deref().map(root::image).transpose()?,
        timeout: Duration::from_secs(args.timeout),
        ..Guest::new(kernel, shell_line(&args.command))
    };
    let outcome = guest.run(&tools)?;
    outcome.explain();
    Ok(ExitCode::from(outcome.exit_code()))
}

/// Times that a guest is booted that an old emulator may have crashed.
const BOOTS: u32 = 3;

/// Lines of a guest's shell: mmscope started and ready, `$mmscope` its process, `get PATH` a page of it. Everybody is told by name,
/// however little they do.
pub(crate) const START_MMSCOPE: &str = r#"
get() { /bin/busybox wget -q -O - "http://127.0.0.1:10942/$1"; }
printf 'series_cap = 1000000\nseries_idle = 1000000\n' >/run/mmscope.toml
mmscope run --overhead-budget=off --config.file /run/mmscope.toml >/run/mmscope.log 2>&1 &
mmscope=$!
for second in $(seq 120); do
    get -/ready >/dev/null 2>&1 && break
    sleep 1
done
"#;

/// A guest to boot. Make one with [`Guest::new`] and change what should differ.
pub(crate) struct Guest {
    /// What to boot.
    pub(crate) kernel: Kernel,
    /// Processors.
    pub(crate) smp: u32,
    /// Memory.
    pub(crate) memory_mib: u32,
    /// Make the clock count instructions.
    pub(crate) icount: bool,
    /// Emulate each processor in a thread of its own.
    pub(crate) parallel: bool,
    /// The host's port for the guest's 10942.
    pub(crate) forward: Option<u16>,
    /// Files to have.
    pub(crate) files: Vec<GuestFile>,
    /// Modules to load.
    pub(crate) modules: Vec<String>,
    /// Environment of the command.
    pub(crate) env: Vec<(String, String)>,
    /// More of QEMU's options.
    pub(crate) qemu: Vec<String>,
    /// More for the kernel's command line.
    pub(crate) append: String,
    /// A root image (root.rs) to run the command on; without one there is busybox.
    pub(crate) root: Option<PathBuf>,
    /// The root image's systemd is the first process, and runs the command as a unit.
    pub(crate) systemd: bool,
    /// A shell's command line.
    pub(crate) command: String,
    /// When to kill it.
    pub(crate) timeout: Duration,
    /// What its lines begin with on our stdout, where several guests print at once. Without one, bytes pass as they come.
    pub(crate) label: Option<String>,
    /// Whether what it prints is for us alone.
    pub(crate) quiet: bool,
    /// A file for the emulator's log of the code at these addresses: each block's instructions, and each block that is run.
    pub(crate) code_log: Option<(PathBuf, Range<u64>)>,
}

/// How a guest ended.
pub(crate) enum End {
    /// The command ended with this code.
    Exit(u8),
    /// QEMU ended without an exit code from the guest.
    Died,
    /// Killed at the time limit.
    Timeout,
}

/// What a guest left.
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: End,
    /// All that the command printed.
    pub(crate) output: String,
    /// The kernel's first complaint and what followed it; empty if there was none.
    pub(crate) splat: Vec<String>,
    /// The console's last lines.
    tail: Vec<String>,
    /// The folder with console.log and qemu.log.
    folder: PathBuf,
    /// From before its initramfs was made to its end.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// The code for our own exit.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.end {
            _ if !self.splat.is_empty() => EXIT_SPLAT,
            End::Exit(code) => code,
            End::Died => EXIT_DIED,
            End::Timeout => EXIT_TIMEOUT,
        }
    }

    /// What was wrong with the run, in a few words.
    pub(crate) fn problem(&self) -> Option<String> {
        if !self.splat.is_empty() {
            return Some(format!("the kernel complained: {}", console::summary(&self.splat)));
        }
        match self.end {
            End::Exit(0) => None,
            End::Exit(code) => Some(format!("exit code {code}")),
            End::Died => Some("the guest ended without an exit code".to_owned()),
            End::Timeout => Some("killed at its time limit".to_owned()),
        }
    }

    /// Tells on stderr what the exit code alone does not.
    pub(crate) fn explain(&self) {
        let log = self.folder.join("console.log");
        if !self.splat.is_empty() {
            eprintln!("vm: the kernel complained ({}):", log.display());
            self.splat.iter().for_each(|line| eprintln!("vm: | {line}"));
        }
        match self.end {
            End::Exit(code) => eprintln!("vm: exit code {code} after {:.1} s", self.seconds),
            End::Died => eprintln!("vm: the guest ended without an exit code after {:.1} s", self.seconds),
            End::Timeout => eprintln!("vm: killed at its time limit, after {:.1} s", self.seconds),
        }
        if matches!(self.end, End::Died | End::Timeout) && self.splat.is_empty() {
            eprintln!("vm: the end of {}:", log.display());
            self.tail.iter().for_each(|line| eprintln!("vm: | {line}"));
            let qemu = fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
            qemu.lines().for_each(|line| eprintln!("vm: qemu: {line}"));
        }
    }
}

impl Guest {
    /// A guest with two processors and a gigabyte.
    pub(crate) fn new(kernel: Kernel, command: String) -> Self {
        Self {
            kernel,
            smp: 2,
            memory_mib: 1024,
            icount: false,
            parallel: false,
            forward: None,
            files: Vec::new(),
            modules: Vec::new(),
            env: Vec::new(),
            qemu: Vec::new(),
            append: String::new(),
            root: None,
            systemd: false,
            command,
            timeout: Duration::from_secs(600),
            label: None,
            quiet: false,
            code_log: None,
        }
    }

    /// Boots it and waits for its end. The command's output goes to our stdout as it comes, unless it is quiet.
    ///
    /// An old QEMU with a thread for each processor runs stale code now and then (qemu.rs). A guest that died under such a one is
    /// booted again; under any other it has failed.
    pub(crate) fn run(&self, tools: &GuestTools) -> Result<Outcome> {
        for _ in 1..BOOTS {
            let outcome = self.boot(tools)?;
            let has_crashed = matches!(outcome.end, End::Died) || !outcome.splat.is_empty();
            if !self.parallel || tools.qemu.is_sound || !has_crashed {
                return Ok(outcome);
            }
            outcome.explain();
            eprintln!("vm: once more, as it may have been the fault of so old an emulator");
        }
        self.boot(tools)
    }

    fn boot(&self, tools: &GuestTools) -> Result<Outcome> {
        let started = Instant::now();
        let machine = self.kernel.machine;
        if machine != tools.machine {
            bail!("the kernel {} is for {}, the emulator is not", self.kernel.release, machine.name());
        }
        if self.root.is_some() && machine != Machine::HOST {
            bail!("--root: an installation of Debian can be made for this host's kind of machine only");
        }
        let folder = new_folder()?;
        eprintln!("vm: booting {} ({})", self.kernel.release, folder.display());

        let mut wanted = self.modules.clone();
        if self.forward.is_some() && self.kernel.modules.is_some() {
            // Modules in most cloud kernels; where a part is built in, it is left out. A kernel that brings none has them built in.
            wanted.extend(["virtio_pci", "virtio_net"].map(str::to_owned));
        }
        if self.root.is_some() {
            if self.kernel.modules.is_none() {
                bail!(
                    "--root: the modules of its disk are needed, and none came with the kernel {}",
                    self.kernel.release
                );
            }
            wanted.extend(["virtio_pci", "virtio_blk", "ext4"].map(str::to_owned));
        }
        let initrd = folder.join("initramfs.cpio");
        initramfs::write(
            &initrd,
            &Contents {
                busybox: &tools.guest_busybox,
                modules: &modules::collect(&self.kernel, &wanted, &tools.busybox)?,
                files: &self.files,
                env: &self.env,
                root: self.root.is_some(),
                systemd: self.systemd,
                command: &self.command,
            },
        )?;
        let code_file = folder.join("exit");
        let console_file = folder.join("console.log");
        for file in [&code_file, &console_file] {
            fs::write(file, "").with_context(|| format!("create {}", file.display()))?;
        }

        let mut qemu = self.qemu(tools, &folder, &initrd)?;
        let mut console = Console::open(&console_file)?;
        let output = forward_output(&mut qemu, self.label.clone(), self.quiet)?;
        // Other guests say themselves how far they are.
        let _line = self.quiet.then(|| progress::ticking(format!("vm: {}", self.kernel.release)));
        let end = wait(&mut qemu, &mut console, started + self.timeout)?;
        let output = output.recv().unwrap_or_default();
        console.poll()?;
        let end = match end {
            Some(end) => end,
            None => read_exit(&code_file)?,
        };
        // By far the largest file, and made again from what is in the cache.
        let _ = fs::remove_file(&initrd);
        Ok(Outcome {
            end,
            output: String::from_utf8_lossy(&output).into_owned(),
            splat: console.splat().to_vec(),
            tail: console.tail(15).to_vec(),
            folder,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn qemu(&self, tools: &GuestTools, folder: &Path, initrd: &Path) -> Result<Killed> {
        let log = folder.join("qemu.log");
        let log = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = tools.qemu.command()?;
        let thread = if self.parallel && !self.icount { "multi" } else { "single" };
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(self.kernel.machine.qemu_machine())
            .arg("-accel")
            .arg(format!("tcg,thread={thread}"))
            .args(["-smp", &self.smp.to_string(), "-m", &format!("{}M", self.memory_mib)])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", &self.kernel_command_line()])
            .arg("-chardev")
            .arg(format!("file,id=console,path={}", escaped(&folder.join("console.log"))))
            .args(["-chardev", "stdio,id=output,signal=off"])
            .arg("-chardev")
            .arg(format!("file,id=exit,path={}", escaped(&folder.join("exit"))))
            .args(self.kernel.machine.qemu_ports())
            .args(&self.qemu);
        if self.icount {
            // sleep=off: idle time passes at once instead of in real time.
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        if let Some((file, code)) = &self.code_log {
            command.args(["-d", "exec,in_asm,nochain", "-dfilter"]);
            command.arg(format!("{:#x}+{:#x}", code.start, code.end - code.start)).arg("-D").arg(file);
        }
        if let Some(image) = &self.root {
            command
                .arg("-drive")
                // snapshot: what is written goes to a file without a name in the run's folder, and never waits for a disk.
                .arg(format!("file={},format=raw,if=none,id=root,snapshot=on,cache=unsafe", escaped(image)))
                .args(["-device", "virtio-blk-pci,drive=root"])
                .env("TMPDIR", folder);
        }
        if let Some(port) = self.forward {
            command
                .arg("-netdev")
                .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-{GUEST_ADDRESS}:{PORT}"))
                // No boot ROM: it is in a package of its own and nobody boots from the network here.
                .args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        command.spawn().map(Killed).with_context(|| format!("start {}", tools.qemu.program.display()))
    }

    fn kernel_command_line(&self) -> String {
        // With -no-reboot a panic ends QEMU at once, and what the kernel cannot recover from is made a panic. A WARNING
        // is not: the run goes on, its other findings count, and it has failed all the same.
        let mut words = self.kernel.machine.kernel_words().to_owned();
        words.push_str(" panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1 sysctl.kernel.panic_on_rcu_stall=1");
        // Nobody waits for entropy.
        words.push_str(" random.trust_cpu=on");
        if self.icount {
            // Its clock runs on while it waits for the host's disk: minutes of it in a second.
            words.push_str(" sysctl.kernel.hung_task_timeout_secs=0");
        }
        if !self.append.is_empty() {
            words.push(' ');
            words.push_str(&self.append);
        }
        words
    }
}

/// QEMU, ended when we no longer look: after an error on our side too.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies the command's output to our stdout unless it is quiet; all of it arrives in the channel when the guest has ended.
fn forward_output(qemu: &mut Killed, label: Option<String>, quiet: bool) -> Result<mpsc::Receiver<Vec<u8>>> {
    let mut from = qemu.0.stdout.take().context("QEMU's stdout")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        let mut told = 0;
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            if quiet {
                told = all.len();
            }
            // Nobody may be reading: the guest's end matters all the same.
            told += tell(&all[told..], label.as_deref()).unwrap_or(all.len() - told);
        }
        let _ = tell(&all[told..], None);
        let _ = sender.send(all);
    });
    Ok(receiver)
}

/// Prints what is new: all of it, or the whole lines of it behind a label; how many bytes that were.
fn tell(new: &[u8], label: Option<&str>) -> io::Result<usize> {
    let mut stdout = io::stdout().lock();
    let Some(label) = label else {
        stdout.write_all(new)?;
        stdout.flush()?;
        return Ok(new.len());
    };
    let mut told = 0;
    for line in new.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        write!(stdout, "{label}: ")?;
        stdout.write_all(line)?;
        told += line.len();
    }
    Ok(told)
}

/// Waits for QEMU's end; says how it ended if that was not the guest's doing.
fn wait(qemu: &mut Killed, console: &mut Console, deadline: Instant) -> Result<Option<End>> {
    loop {
        if qemu.0.try_wait().context("wait for QEMU")?.is_some() {
            return Ok(None);
        }
        console.poll()?;
        if Instant::now() > deadline {
            qemu.0.kill().context("kill QEMU")?;
            qemu.0.wait().context("wait for QEMU")?;
            return Ok(Some(End::Timeout));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The guest's exit code, from the line that its init writes last.
fn read_exit(file: &Path) -> Result<End> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let code = text.trim().strip_prefix("exit ").and_then(|code| code.parse().ok());
    Ok(code.map_or(End::Died, End::Exit))
}

/// A new folder for a run's logs, the next number in target/vm.
fn new_folder() -> Result<PathBuf> {
    let all = paths::target().join("vm");
    fs::create_dir_all(&all).with_context(|| format!("create {}", all.display()))?;
    let numbers = fs::read_dir(&all).with_context(|| format!("read {}", all.display()))?;
    let numbers: Vec<u32> = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let newest = numbers.iter().copied().max().unwrap_or(0);
    for number in numbers.iter().filter(|number| **number + KEPT_RUNS <= newest) {
        // Another run may be doing the same.
        let _ = fs::remove_dir_all(all.join(number.to_string()));
    }
    for number in newest + 1.. {
        let folder = all.join(number.to_string());
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("create {}", folder.display())),
        }
    }
    bail!("no number left in {}", all.display())
}

/// A path within one of QEMU's comma-separated options.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// A file for the guest's /bin.
pub(crate) fn in_bin(host: PathBuf) -> GuestFile {
    let name = host.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    GuestFile { guest: format!("/bin/{name}"), host }
}

fn parse_file(text: &str) -> Result<GuestFile> {
    let file = match text.rsplit_once(":/") {
        Some((host, guest)) => GuestFile { host: host.into(), guest: format!("/{guest}") },
        None => in_bin(text.into()),
    };
    if !file.host.exists() {
        bail!("no file {} for the guest", file.host.display());
    }
    Ok(file)
}

/// One word is a command line already; several are quoted to stay what they are.
fn shell_line(words: &[String]) -> String {
    match words {
        [line] => line.clone(),
        words => words.iter().map(|word| sh::quote(word)).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_file, shell_line};

    #[test]
    fn one_word_is_a_line_and_several_are_words() {
        assert_eq!(shell_line(&["a; exit 3".to_owned()]), "a; exit 3");
        assert_eq!(shell_line(&["echo".to_owned(), "a; exit 3".to_owned()]), "echo 'a; exit 3'");
    }

    #[test]
    fn a_file_goes_to_bin_or_where_it_is_told() {
        let file = parse_file("Cargo.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.guest, "/bin/Cargo.toml");
        let file = parse_file("Cargo.toml:/etc/x").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((file.host.as_os_str(), file.guest.as_str()), ("Cargo.toml".as_ref(), "/etc/x"));
    }
}
