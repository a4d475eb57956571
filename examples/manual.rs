//! Writes the manual pages and the shells' completions into a folder, as a package installs them.
//!
//! ```text
//! cargo run --example manual -- target/manual
//! ```

// The command line belongs to the program, which should not carry its own manual.
#[allow(dead_code)]
#[path = "../src/cli/mod.rs"]
mod cli;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let [folder] = args.as_slice() else {
        eprintln!("usage: manual FOLDER");
        return ExitCode::from(64);
    };
    match write(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", Path::new(folder).display());
            ExitCode::FAILURE
        }
    }
}

/// `man/*.1`, and a completion for each of the shells that Debian knows a place for.
fn write(folder: &Path) -> io::Result<()> {
    let mut palmd = cli::Cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let place = folder.join(shell.to_string());
        fs::create_dir_all(&place)?;
        generate_to(shell, &mut palmd, "palmd", place)?;
    }

    let mut palmd = cli::Cli::command().disable_help_subcommand(true);
    palmd.build();
    let place = folder.join("man");
    fs::create_dir_all(&place)?;
    let commands: Vec<_> = palmd.get_subcommands().cloned().collect();
    for command in commands {
        page(command, &place)?;
    }
    page(palmd, &place)
}

/// The manual page of a command. What follows its help keeps its lines, as on a terminal.
fn page(command: Command, place: &Path) -> io::Result<()> {
    let more = command.get_after_help().map(ToString::to_string);
    let is_palmd = command.has_subcommands();
    let man = Man::new(command).source(concat!("palmd ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if is_palmd {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(more) = more {
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]).control("nf", []);
        notes.text([roman(more)]).control("fi", []);
        notes.to_writer(&mut page)?;
    }
    if is_palmd {
        files().to_writer(&mut page)?;
    }
    fs::File::create(place.join(man.get_filename()))?.write_all(&page)
}

/// The files that every command knows of.
fn files() -> Roff {
    let mut files = Roff::new();
    files.control("SH", ["FILES"]);
    for (path, what) in [
        (
            "/etc/palmd/palmd.toml",
            "The configuration. Every key stands there with its default and what it does.",
        ),
        (
            "/usr/share/palmd/models/",
            "The networks that find hands and tell gestures.",
        ),
        (
            "/var/lib/palmd/gestures/",
            "What palmd record and palmd learn wrote as root.",
        ),
    ] {
        files.control("TP", []);
        files.text([bold(path)]).text([roman(what)]);
    }
    files
}
