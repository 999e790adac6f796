//! The kinds of machine that mmscope is built for and that guests are of: what compilers, Debian and QEMU call each of them, and what
//! differs in a guest. Everything else asks here.

use clap::ValueEnum;
use object::elf;

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// 64-bit PCs.
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[value(name = "aarch64")]
    Aarch64,
}

impl Machine {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The one that this runs on.
    pub(crate) const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// As `uname -m` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The target of Rust's compiler.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The target as it stands in cargo's variables: CARGO_TARGET_NAME_SETTING.
    pub(crate) fn target_variable(self, setting: &str) -> String {
        format!("CARGO_TARGET_{}_{setting}", self.target().replace('-', "_").to_uppercase())
    }

    /// Debian's name.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The folder of Debian's libraries.
    pub(crate) fn multiarch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// `e_machine` of its programs.
    pub(crate) fn elf(self) -> u16 {
        match self {
            Self::X86_64 => elf::EM_X86_64,
            Self::Aarch64 => elf::EM_AARCH64,
        }
    }

    /// The emulator.
    pub(crate) fn qemu(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// Debian's package of the emulator.
    pub(crate) fn qemu_package(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86",
            Self::Aarch64 => "qemu-system-arm",
        }
    }

    /// The emulator's options for the machine itself.
    pub(crate) fn qemu_machine(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["-machine", "pc", "-cpu", "max"],
            // impdef: pointers are signed by a hash of the emulator's own, as the architecture allows. Its default one takes
            // more time than all else.
            Self::Aarch64 => &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
        }
    }

    /// The emulator's options for the guest's ports: the kernel's console on the character device `console`, and ttyS1 and ttyS2 on
    /// `output` and `exit`.
    pub(crate) fn qemu_ports(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["-serial", "chardev:console", "-serial", "chardev:output", "-serial", "chardev:exit"],
            // One port is the board's own, of a kind and a name that differ. The others are cards, numbered as they stand here; the
            // first is nobody's.
            Self::Aarch64 => &[
                "-serial",
                "chardev:console",
                "-device",
                "pci-serial",
                "-device",
                "pci-serial,chardev=output",
                "-device",
                "pci-serial,chardev=exit",
            ],
        }
    }

    /// The kernel's words for its console and what is special to the machine's emulation.
    pub(crate) fn kernel_words(self) -> &'static str {
        match self {
            // Emulated timers are late on a busy host, and a check of them would stop the boot.
            Self::X86_64 => "console=ttyS0,115200 no_timer_check",
            Self::Aarch64 => "console=ttyAMA0",
        }
    }
}

/// The machine of a kernel's image: those for Arm say so in their header, at 56 ("ARM\x64"); others are taken for a PC's.
/// <https://docs.kernel.org/arch/arm64/booting.html>
pub(crate) fn of_image(image: &[u8]) -> Machine {
    if image.get(56..60) == Some(b"ARMd") { Machine::Aarch64 } else { Machine::X86_64 }
}

/// Whether a kernel's image unpacks itself as a program of EFI's, which no emulator here boots: "zimg" at 4.
pub(crate) fn is_packed_for_efi(image: &[u8]) -> bool {
    image.starts_with(b"MZ") && image.get(4..8) == Some(b"zimg")
}

#[cfg(test)]
mod tests {
    use super::{Machine, is_packed_for_efi, of_image};

    #[test]
    fn cargo_reads_variables_in_capitals() {
        assert_eq!(Machine::Aarch64.target_variable("LINKER"), "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER");
    }

    #[test]
    fn an_image_for_arm_says_so() {
        let mut image = [0; 64];
        image[..2].copy_from_slice(b"MZ");
        assert_eq!(of_image(&image), Machine::X86_64);
        image[56..60].copy_from_slice(b"ARMd");
        assert_eq!((of_image(&image), is_packed_for_efi(&image)), (Machine::Aarch64, false));
        image[4..8].copy_from_slice(b"zimg");
        assert!(is_packed_for_efi(&image));
        assert_eq!(of_image(b"short"), Machine::X86_64);
    }
}
