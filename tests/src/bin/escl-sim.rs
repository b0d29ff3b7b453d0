//! A simulated eSCL scanner to play with: `escl-sim --dress hp --sheets 5`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use scantrip_hal::sim::{Fault, SimConfig, SimMfp};
use scantrip_tests::escl::EsclSim;
use scantrip_tests::escl::dress::Dress;
use scantrip_tests::escl::oddity::{ODDITIES, Oddity};

const USAGE: &str = "\
escl-sim: a simulated eSCL scanner

  --listen ADDRESS   default 127.0.0.1:8089
  --dress NAME       adf-only, brother, canon, epson, hp (default), kyocera or xerox
  --sheets N         sheets in the feeder, default 10
  --faults LIST      of the paper, such as jam-after=3,slow=2:5000
  --odd LIST         of the device, see below
  --images FOLDER    JPEG images to feed instead of drawn pages
  --record FOLDER    gets each page fed, as NNNN.jpg
  --control FILE     orders while it runs: sheets=N faults=LIST

oddities, separated by commas:
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> anyhow::Result<()> {
    let mut address: SocketAddr = ([127, 0, 0, 1], 8089).into();
    let (mut dress, mut odd) = (Dress::Hp, Vec::new());
    let mut config = SimConfig {
        dpi: 600,
        ..SimConfig::default()
    };
    let mut arguments = arguments.into_iter();
    while let Some(option) = arguments.next() {
        if matches!(option.as_str(), "-h" | "--help") {
            print!("{USAGE}");
            ODDITIES
                .iter()
                .for_each(|(name, does)| println!("  {name:20}{does}"));
            return Ok(());
        }
        let value = arguments
            .next()
            .with_context(|| format!("{option} needs a value; see --help"))?;
        match option.as_str() {
            "--listen" => address = value.parse().context("not an address")?,
            "--dress" => dress = value.parse().map_err(anyhow::Error::msg)?,
            "--sheets" => config.sheets = value.parse().context("not a number")?,
            "--faults" => config.faults = Fault::parse_list(&value)?,
            "--odd" => odd = Oddity::parse_list(&value).map_err(anyhow::Error::msg)?,
            "--images" => config.images = Some(PathBuf::from(value)),
            "--record" => config.record = Some(PathBuf::from(value)),
            "--control" => config.control = Some(PathBuf::from(value)),
            _ => bail!("unknown option {option}; see --help"),
        }
    }
    let mfp = SimMfp::new(config)?;
    let sim = EsclSim::listen(address, dress, &mfp, &odd)?;
    println!("listening on {}", sim.url());
    println!("with TLS on {}", sim.secure_url());
    loop {
        std::thread::park();
    }
}
