//! Real disks that are really full, under the agent and under the cloud: people are told so, what
//! was saved stays, and everything goes on when there is room again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use scantrip_tests::program::{command, run};
use scantrip_tests::stage::files;

use crate::world::{World, words};

/// A small disk in memory in place of a folder, with what lay there.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where nothing may be mounted; root may.
    fn over(at: PathBuf, mebibytes: u32) -> Option<Self> {
        let before = at.with_extension("before");
        fs::rename(&at, &before).expect("a folder");
        fs::create_dir(&at).expect("a folder");
        let size = format!("size={mebibytes}m,mode=0700");
        let mounted = run(command("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&at));
        if let Err(error) = mounted {
            let id = run(command("id").arg("-u")).expect("a user");
            assert_ne!(id.trim(), "0", "root may mount: {error}");
            eprintln!("SKIPPED: only root may mount a small disk");
            return None;
        }
        let disk = Self { at };
        run(command("cp").arg("-a").arg(before.join(".")).arg(&disk.at)).expect("a copy");
        Some(disk)
    }

    fn resize(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        run(command("mount").args(["-o", &size]).arg(&self.at)).expect("another size");
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.ballast())
            .expect("a file");
        let piece = [b'.'; 4096];
        while ballast.write_all(&piece).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).expect("a file");
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(run(command("umount").arg("-l").arg(&self.at)));
    }
}

fn queued(folder: &Path) -> usize {
    files(&folder.join("agent/spool")).map_or(0, |jobs| jobs.len())
}

#[test]
fn a_full_disk_under_the_agent_loses_nothing_and_goes_on_with_room() {
    let world = World::enrolled(5);
    world.configure_more("[spool]\nfree_bytes_min = 0");
    assert!(world.agent(&["sync"]).status.success());
    let Some(disk) = SmallDisk::over(world.folder().join("agent"), 8) else {
        return;
    };
    let refused = world.scan("Small");
    assert_eq!(refused.status.code(), Some(7), "{}", words(&refused));
    assert!(words(&refused).contains("full"), "{}", words(&refused));
    let pages = world.folder().join("pages");
    assert!(files(&pages).map_or(0, |fed| fed.len()) == 0, "paper moved");

    disk.resize(96);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    let saved = world.scan("Small");
    assert!(saved.status.success(), "{}", words(&saved));
    assert_eq!(queued(world.folder()), 1);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(false));

    disk.fill();
    let stuck = world.agent(&["sync"]);
    assert_eq!(
        queued(world.folder()),
        1,
        "erased without a receipt: {}",
        words(&stuck)
    );
    disk.empty();
    let jobs = world.jobs();
    let job = jobs[0]["job"].as_str().expect("a job");
    let sent = world.agent(&["jobs", "wait", job]);
    assert!(sent.status.success(), "{}", words(&sent));
    world.expect_one_document();
    assert_eq!(queued(world.folder()), 0);
}

#[test]
fn a_full_disk_under_the_cloud_loses_nothing_and_goes_on_with_room() {
    let mut world = World::enrolled(3);
    assert!(world.agent(&["sync"]).status.success());
    world.stage.kill_cloud().expect("a process");
    let Some(disk) = SmallDisk::over(world.folder().join("cloud"), 8) else {
        return;
    };
    world.stage.serve(&[]).expect("a cloud");
    disk.fill();
    let saved = world.scan("Full");
    assert!(saved.status.success(), "{}", words(&saved));
    assert_eq!(queued(world.folder()), 1, "{}", words(&saved));
    let log = fs::read_to_string(world.folder().join("cloud.log")).expect("a log");
    assert!(
        log.contains("No space") || log.contains("full"),
        "nobody was told: {log}"
    );

    disk.empty();
    let jobs = world.jobs();
    let job = jobs[0]["job"].as_str().expect("a job");
    let sent = world.agent(&["jobs", "wait", job]);
    assert!(sent.status.success(), "{}", words(&sent));
    world.expect_one_document();
}
