#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mmscope_fuzz::bounded(mmscope::fuzzing::records, input));
