//! A keyboard that the kernel makes for us: `/dev/uinput`.
//!
//! See `Documentation/input/uinput.rst` and `include/uapi/linux/uinput.h` of the kernel. When the
//! file is closed, by whatever end, the kernel takes the keyboard away and lets its keys go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem::size_of;

use libc::{input_event, input_id, uinput_setup};
use rustix::ioctl::{self, IntegerSetter, NoArg, Opcode, Setter, opcode};

use super::{Key, Keyboard, Stroke};

const PATH: &str = "/dev/uinput";
const NAME: &[u8] = b"palmd";

const UI_DEV_CREATE: Opcode = opcode::none(b'U', 1);
const UI_DEV_SETUP: Opcode = opcode::write::<uinput_setup>(b'U', 3);
const UI_SET_EVBIT: Opcode = opcode::write::<libc::c_int>(b'U', 100);
const UI_SET_KEYBIT: Opcode = opcode::write::<libc::c_int>(b'U', 101);

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const BUS_VIRTUAL: u16 = 6;

/// udev takes a device for a keyboard if it has all of the first keys, from escape to S.
const FIRST_KEYS: std::ops::Range<u16> = 1..32;

/// A keyboard of palmd's own, which every program sees.
#[derive(Debug)]
pub struct Uinput {
    file: File,
}

impl Uinput {
    /// A keyboard that has `keys`, and as many more as it takes to pass for one.
    ///
    /// # Errors
    /// What is wrong with `/dev/uinput` and what to do, in a line.
    pub fn open(keys: impl Iterator<Item = Key>) -> Result<Self, String> {
        let file = file()?;
        create(&file, keys).map_err(|error| format!("{PATH}: making a keyboard: {error}"))?;
        Ok(Self { file })
    }

    /// Looks whether there could be a keyboard, without making one.
    ///
    /// # Errors
    /// The same.
    pub fn check() -> Result<(), String> {
        file().map(|_| ())
    }
}

fn file() -> Result<File, String> {
    let file = OpenOptions::new().write(true).open(PATH);
    file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => absent(),
        // The file may be there before the module is.
        _ if error.raw_os_error() == Some(libc::ENODEV) => absent(),
        io::ErrorKind::PermissionDenied => format!(
            "{PATH} may not be opened by this user; give it to the group `input` by a udev rule, \
             and palmd that group (docs/guide/keys.md)"
        ),
        _ => format!("{PATH}: {error}"),
    })
}

fn absent() -> String {
    format!(
        "{PATH} is not there; load its module: `sudo modprobe uinput`, and for every start \
         `echo uinput | sudo tee /etc/modules-load.d/uinput.conf`"
    )
}

fn create(file: &File, keys: impl Iterator<Item = Key>) -> io::Result<()> {
    let mut setup = uinput_setup {
        id: input_id {
            bustype: BUS_VIRTUAL,
            vendor: 0,
            product: 0,
            version: 1,
        },
        name: [0; libc::UINPUT_MAX_NAME_SIZE],
        ff_effects_max: 0,
    };
    for (to, from) in setup.name.iter_mut().zip(NAME) {
        *to = *from as libc::c_char;
    }
    // SAFETY: this request takes a number in the place of the pointer, and `EV_KEY` is an event type.
    let keys_only = unsafe { IntegerSetter::<UI_SET_EVBIT>::new_usize(EV_KEY.into()) };
    // SAFETY: `file` is uinput's, whose request this is; it touches no memory of ours.
    unsafe { ioctl::ioctl(file, keys_only) }?;
    for code in FIRST_KEYS.chain(keys.map(|key| key.0)) {
        // SAFETY: this request takes a number in the place of the pointer; the kernel checks it.
        let key = unsafe { IntegerSetter::<UI_SET_KEYBIT>::new_usize(code.into()) };
        // SAFETY: `file` is uinput's, whose request this is; it touches no memory of ours.
        unsafe { ioctl::ioctl(file, key) }?;
    }
    // SAFETY: this request reads a `uinput_setup`, whose size is part of its number.
    let setup = unsafe { Setter::<UI_DEV_SETUP, uinput_setup>::new(setup) };
    // SAFETY: `file` is uinput's, whose request this is; `setup` outlives the call.
    unsafe { ioctl::ioctl(file, setup) }?;
    // SAFETY: this request takes nothing.
    let create = unsafe { NoArg::<UI_DEV_CREATE>::new() };
    // SAFETY: `file` is uinput's, whose request this is; it touches no memory of ours.
    unsafe { ioctl::ioctl(file, create) }?;
    Ok(())
}

/// An event as the kernel reads it: a time, which it sets itself, type, code and value.
fn event(kind: u16, code: u16, value: i32) -> [u8; size_of::<input_event>()] {
    let mut bytes = [0; size_of::<input_event>()];
    let (_, fields) = bytes.split_at_mut(size_of::<input_event>() - 8);
    fields[..2].copy_from_slice(&kind.to_ne_bytes());
    fields[2..4].copy_from_slice(&code.to_ne_bytes());
    fields[4..].copy_from_slice(&value.to_ne_bytes());
    bytes
}

/// Strokes and the mark that they are complete.
fn events(strokes: &[(Key, Stroke)]) -> Vec<u8> {
    let value = |stroke| match stroke {
        Stroke::Up => 0,
        Stroke::Down => 1,
        Stroke::Repeat => 2,
    };
    let strokes = strokes.iter();
    let mut bytes: Vec<u8> = strokes
        .flat_map(|&(key, stroke)| event(EV_KEY, key.0, value(stroke)))
        .collect();
    bytes.extend(event(EV_SYN, 0, 0));
    bytes
}

impl Keyboard for Uinput {
    fn report(&mut self, strokes: &[(Key, Stroke)]) -> io::Result<()> {
        self.file.write_all(&events(strokes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::mem::offset_of;
    use std::path::PathBuf;

    use super::*;

    /// Type, code and value of each event.
    fn parsed(bytes: &[u8]) -> Vec<(u16, u16, i32)> {
        let events = bytes.chunks_exact(size_of::<input_event>());
        let at = |event: &[u8], at: usize| [event[at], event[at + 1]];
        events
            .map(|e| {
                let value = offset_of!(input_event, value);
                (
                    u16::from_ne_bytes(at(e, offset_of!(input_event, type_))),
                    u16::from_ne_bytes(at(e, offset_of!(input_event, code))),
                    i32::from_ne_bytes([e[value], e[value + 1], e[value + 2], e[value + 3]]),
                )
            })
            .collect()
    }

    #[test]
    fn strokes_are_events_in_the_kernels_layout() {
        let bytes = events(&[(Key(29), Stroke::Down), (Key(17), Stroke::Repeat)]);
        assert_eq!(parsed(&bytes), [(1, 29, 1), (1, 17, 2), (0, 0, 0)]);
        assert_eq!(parsed(&events(&[(Key(700), Stroke::Up)]))[0], (1, 700, 0));
    }

    /// The node under /dev/input of the newest keyboard called palmd.
    fn node() -> Option<PathBuf> {
        let named = |input: &PathBuf| {
            fs::read_to_string(input.join("name")).is_ok_and(|name| name.trim() == "palmd")
        };
        let inputs = fs::read_dir("/sys/devices/virtual/input").ok()?;
        let input = inputs.flatten().map(|i| i.path()).filter(named).max()?;
        let nodes = fs::read_dir(input).ok()?.flatten();
        let names = nodes.map(|node| node.file_name());
        let event = names.filter(|name| name.as_encoded_bytes().starts_with(b"event"));
        event
            .map(|name| PathBuf::from("/dev/input").join(name))
            .next()
    }

    #[test]
    fn what_is_typed_is_read_back_and_goes_up_with_the_keyboard() {
        let mut keyboard = match Uinput::open([Key(106)].into_iter()) {
            Ok(keyboard) => keyboard,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let opened = || node().and_then(|node| File::open(node).ok());
        let mut tries = 0;
        let mut file = loop {
            match opened() {
                Some(file) => break file,
                None if tries < 500 => std::thread::sleep(std::time::Duration::from_millis(10)),
                None => return eprintln!("skipped: no node under /dev/input"),
            }
            tries += 1;
        };
        let strokes = [(Key(106), Stroke::Down)];
        keyboard.report(&strokes).expect("a keyboard");
        let mut bytes = [0; 2 * size_of::<input_event>()];
        file.read_exact(&mut bytes).expect("two events");
        assert_eq!(parsed(&bytes), [(1, 106, 1), (0, 0, 0)]);
        // The kernel lets go what is down when the keyboard goes.
        drop(keyboard);
        file.read_exact(&mut bytes).expect("two events");
        assert_eq!(parsed(&bytes), [(1, 106, 0), (0, 0, 0)]);
    }
}
