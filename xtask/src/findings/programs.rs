//! The programs: what to install, what to do, and under which names mmscope sees them. Shell for the guest; knows nothing
//! of how a guest is made or measured.

/// A program and its load.
pub(super) struct Program {
    /// On the command line and in the table.
    pub(super) name: &'static str,
    /// For readers of the page.
    pub(super) about: &'static str,
    /// Packages of Debian.
    pub(super) packages: &'static [&'static str],
    /// Commands that are its own, as `comm` has them: 15 characters. A star stands for any end.
    pub(super) comms: &'static [&'static str],
    /// Before mmscope is there.
    pub(super) prepare: &'static str,
    /// What is measured; $LOAD says how much.
    pub(super) work: &'static str,
    /// $LOAD, for 20 to 60 seconds under emulation.
    pub(super) load: u32,
    /// $LOAD with `--short`.
    pub(super) short: u32,
}

impl Program {
    /// How much to do.
    pub(super) fn load(&self, short: bool) -> u32 {
        if short { self.short } else { self.load }
    }

    /// Whether a command is its own.
    pub(super) fn has(&self, comm: &str) -> bool {
        self.comms.iter().any(|own| match own.strip_suffix('*') {
            Some(beginning) => comm.starts_with(beginning),
            None => comm == *own,
        })
    }
}

/// All of them, in the order of the table.
pub(super) const PROGRAMS: &[Program] = &[SNAPSHOT, JVM, SERVER, POSTGRES, STRESS, COMPILER];

const SNAPSHOT: Program = Program {
    name: "snapshot",
    about: "QEMU (TCG): background snapshots of a machine that writes to 95 MiB all the time, by userfaultfd's write \
        protection; then a postcopy migration to a second QEMU",
    packages: &["qemu-system-x86"],
    comms: &["qemu-system-x86"],
    // A boot sector: A20 on, protected mode, then for ever one more in each page from 1 to 96 MiB.
    //        cli; xor ax,ax; mov ds,ax; in al,0x92; or al,2; out 0x92,al; lgdt [0x7c58]
    //        mov eax,cr0; or al,1; mov cr0,eax; jmp 8:0x7c1e
    //  7c1e: mov ax,16; mov ds,ax
    //  7c24: mov edi,0x100000
    //  7c29: inc dword [edi]; add edi,0x1000; cmp edi,0x6000000; jb 0x7c29; jmp 0x7c24
    //  7c40: three descriptors (none, code, data), and at 7c58 the table's size and address
    prepare: r#"
printf '\372\061\300\216\330\344\222\014\002\346\222\146\017\001\026\130\174\017\040\300\014\001\017\042\300\352\036\174\010\000' >disk
printf '\146\270\020\000\216\330\277\000\000\020\000\377\007\201\307\000\020\000\000\201\377\000\000\000\006\162\360\353\351' >>disk
printf '\220\220\220\220\220\000\000\000\000\000\000\000\000\377\377\000\000\000\232\317\000' >>disk
printf '\377\377\000\000\000\222\317\000\027\000\100\174\000\000' >>disk
truncate -s 510 disk
printf '\125\252' >>disk
truncate -s 1M disk
mkfifo one two
"#,
    work: r#"
machine() {
    from=$1
    shift
    qemu-system-x86_64 -nodefaults -display none -vga none -machine pc -accel tcg,thread=single -m 128 \
        -drive file=disk,format=raw,snapshot=on -monitor stdio "$@" <"$from" >"$from.log" 2>&1 &
}
say() { echo "$1" >&5; }
status() {
    say "info migrate"
    sleep 1
    grep -ai "status: " one.log | grep -aiv "VM status" | tail -n 1
}
# The last status is that of the last migration: commands are done in their order.
migrated() {
    for second in $(seq 120); do
        case "$(status)" in
        *completed*) return 0 ;;
        *failed* | *cancelled*) break ;;
        esac
    done
    tail -n 5 one.log two.log
    exit 1
}
machine one
first=$!
exec 5>one
# Until it has written to all that it writes to.
for second in $(seq 120); do
    resident=$(awk '/^RssAnon/ { print $2 }' "/proc/$first/status")
    [ "$resident" -gt 98304 ] && break
    sleep 1
done
echo "$resident KiB resident"
say "migrate_set_capability background-snapshot on"
say "migrate_set_parameter max-bandwidth 16M"
for snapshot in $(seq "$LOAD"); do
    say 'migrate -d "exec:cat >/dev/null"'
    migrated
done
say "info migrate"
say "migrate_set_capability background-snapshot off"
machine two -incoming defer
second=$!
exec 6>two
echo "migrate_set_capability postcopy-ram on" >&6
echo "migrate_incoming unix:socket" >&6
for tenth in $(seq 300); do
    [ -S socket ] && break
    sleep 0.1
done
say "migrate_set_capability postcopy-ram on"
say "migrate -d unix:socket"
say "migrate_start_postcopy"
migrated
kill "$first" "$second"
wait "$first" "$second" || true
grep -ai "status: \|total time" one.log | tail -n 2
"#,
    load: 2,
    short: 1,
};

const JVM: Program = Program {
    name: "jvm",
    about: "a Java program (HotSpot, G1, a heap of 64 to 256 MiB): four threads that allocate all the time and keep a \
        changing part",
    packages: &["default-jdk-headless"],
    comms: &["java"],
    prepare: r#"
cat >Load.java <<'JAVA'
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

class Load {
    public static void main(String[] args) throws Exception {
        long end = System.nanoTime() + Long.parseLong(args[0]) * 1_000_000_000L;
        Thread[] threads = new Thread[4];
        for (int number = 0; number < threads.length; number++) {
            int seed = number;
            threads[number] = new Thread(() -> work(new Random(seed), end));
            threads[number].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(allocated + " bytes allocated");
    }

    static long allocated;

    static void work(Random random, long end) {
        Map<Integer, byte[]> kept = new HashMap<>();
        long own = 0;
        while (System.nanoTime() < end) {
            byte[] bytes = new byte[random.nextInt(200_000)];
            own += bytes.length;
            kept.put(random.nextInt(400), bytes);
        }
        synchronized (Load.class) {
            allocated += own;
        }
    }
}
JAVA
javac Load.java
"#,
    work: "java -XX:+UseG1GC -Xms64m -Xmx256m Load \"$LOAD\"",
    load: 30,
    short: 3,
};

const SERVER: Program = Program {
    name: "server",
    about: "a server in Go (Caddy) that sends files of 64 KiB to eight clients at a time",
    packages: &["caddy", "apache2-utils"],
    comms: &["caddy"],
    prepare: r#"
mkdir -p files
head -c 65536 /dev/urandom >files/file
"#,
    work: r#"
caddy file-server --listen 127.0.0.1:8080 --root files >server.log 2>&1 &
server=$!
for second in $(seq 60); do
    /bin/busybox wget -q -O /dev/null http://127.0.0.1:8080/file 2>/dev/null && break
    sleep 1
done
ab -q -n "$LOAD" -c 8 http://127.0.0.1:8080/file >ab.log 2>&1 || { tail -n 5 ab.log server.log; exit 1; }
kill "$server"
wait "$server" || true
grep -E "^(Complete|Failed) requests" ab.log
"#,
    load: 4000,
    short: 100,
};

const POSTGRES: Program = Program {
    name: "postgres",
    about: "PostgreSQL: pgbench's transactions, four clients",
    packages: &["postgresql"],
    comms: &["postgres"],
    prepare: r#"
mkdir data
chown postgres: data
cat >as_postgres <<'SH'
cd /
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
exec runuser -u postgres -- env PATH="$PATH" PGHOST=/tmp "$@"
SH
sh as_postgres initdb --no-sync -D "$PWD/data"
"#,
    work: r#"
sh as_postgres pg_ctl -D "$PWD/data" -w -t 120 -o "-c listen_addresses= -k /tmp" -l "$PWD/data/log" start
sh as_postgres pgbench -q -i -s 2 postgres
sh as_postgres pgbench -n -c 4 -j 2 -T "$LOAD" postgres
sh as_postgres pg_ctl -D "$PWD/data" -w -t 120 -m fast stop
"#,
    load: 20,
    short: 3,
};

const STRESS: Program = Program {
    name: "stress",
    about: "stress-ng's stressors of memory management: brk, fork, madvise, mmap, mprotect, mremap, userfaultfd, vm",
    packages: &["stress-ng"],
    comms: &["stress-ng*"],
    prepare: "",
    work: r#"
stress-ng --brk 1 --fork 1 --madvise 1 --mmap 1 --mmap-bytes 32m --mprotect 1 --mremap 1 --mremap-bytes 32m \
    --userfaultfd 1 --userfaultfd-bytes 16m --vm 1 --vm-bytes 64m --timeout "${LOAD}s" --metrics-brief --oomable
"#,
    load: 30,
    short: 3,
};

const COMPILER: Program = Program {
    name: "compiler",
    about: "gcc -O1: eight files of 500 lines, two at a time",
    packages: &["gcc", "libc6-dev"],
    comms: &["gcc", "cc1", "as", "x86_64-linux-gn"],
    prepare: r#"
for file in $(seq "$LOAD"); do
    awk -v file="$file" 'BEGIN {
        for (n = 0; n < 100; n++) {
            printf "unsigned f%d_%d(unsigned *a, unsigned n) {\n    unsigned s = %d;\n", file, n, n
            printf "    for (unsigned i = 0; i < n; i++) s += a[i] * %d + (s >> 3);\n    return s;\n}\n", n + 1
        }
    }' >"$file.c"
done
"#,
    work: "ls ./*.c | xargs -P 2 -n 1 gcc -O1 -c",
    load: 8,
    short: 2,
};

#[cfg(test)]
mod tests {
    use super::{COMPILER, PROGRAMS, STRESS};

    #[test]
    fn commands_are_whole_names_or_beginnings() {
        assert!(COMPILER.has("cc1") && !COMPILER.has("cc1plus"));
        assert!(STRESS.has("stress-ng-vm") && STRESS.has("stress-ng"));
        // The kernel keeps no more.
        let names = PROGRAMS.iter().flat_map(|program| program.comms);
        assert!(names.map(|name| name.len()).all(|length| length <= 15));
    }

    #[test]
    fn short_is_less() {
        assert!(PROGRAMS.iter().all(|program| program.load(true) < program.load(false)));
    }
}
