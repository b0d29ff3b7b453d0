//! What a person reads, with the shipped programs.

use super::*;

fn expect_words(output: &std::process::Output, text: &str) {
    let told = words(output);
    // A line of the terminal may be broken anywhere between words.
    let told: Vec<&str> = told.split_whitespace().collect();
    assert!(told.join(" ").contains(text), "{text}\nnot in\n{told:?}");
}

impl Office {
    fn faults(&self, text: &str) {
        self.mfp
            .set_faults(Fault::parse_list(text).expect("faults"));
    }

    /// Goes on with the one job there is, with these options.
    fn continued(&self, options: &[&str]) -> std::process::Output {
        let job = self.job();
        self.world
            .agent(&[&["jobs", "continue", &job], options].concat())
    }

    fn job(&self) -> String {
        self.world.jobs()[0]["job"]
            .as_str()
            .expect("a job")
            .to_owned()
    }
}

#[test]
fn each_fault_of_the_feeder_says_what_to_do_and_which_sheet_is_meant() {
    let office = Office::new(Dress::Hp, 8, &[]);
    let scan = || office.world.scan("Faults");
    office.sim.set_oddities(&[]);
    // Before paper moves, nothing is to be put back.
    office.faults("cover-open");
    expect_words(&scan(), "the cover is open; close it, then try again");
    office.faults("empty");
    expect_words(
        &scan(),
        "there is no paper in the feeder; load the stack and try again",
    );
    office.faults("");
    let mut output = None;
    for (page, (odd, told)) in (2..).zip([
        (
            Oddity::Mispick(2),
            "a sheet was not taken in; see to the feeder, then put page 2 and what follows back into \
             the feeder and go on. Page 2 is the next in the feeder",
        ),
        (
            Oddity::Multipick(2),
            "two sheets went in at once; separate them, then put page 3 and what follows back into \
             the feeder and go on. Page 3 is the upper of the two sheets",
        ),
        (
            Oddity::TrayFailed(2),
            "the feeder's tray has a fault or holds too much; see to the feeder, then put page 4",
        ),
        (
            Oddity::TrayOverloaded(2),
            "the feeder's tray has a fault or holds too much; see to the feeder, then put page 5",
        ),
        (
            Oddity::TooShort(2),
            "the paper is too short or too long for both sides; finish this job or discard it, \
             then scan page 6 and what follows on one side",
        ),
        (
            Oddity::TooLong(2),
            "the paper is too short or too long for both sides; finish this job or discard it, \
             then scan page 7 and what follows on one side",
        ),
    ]) {
        office.sim.set_oddities(&[odd]);
        let ended = match output {
            None => scan(),
            Some(_) => office.continued(&[]),
        };
        assert_eq!(ended.status.code(), Some(6), "{page}: {}", words(&ended));
        expect_words(&ended, told);
        output = Some(ended);
    }
    office.go_on();
    office.world.expect_one_document();
}

#[test]
fn a_jam_that_is_an_empty_feeder_is_told_as_that() {
    let office = Office::new(Dress::Epson, 0, &[Oddity::JamWhenEmpty]);
    let output = office.world.scan("Empty");
    assert_eq!(output.status.code(), Some(6), "{}", words(&output));
    expect_words(
        &output,
        "the scanner tells of a jam and has fed nothing; there is probably no paper in the feeder; \
         load the stack and try again",
    );
}

#[test]
fn a_device_that_gives_one_page_for_each_job_is_delivered_in_one_document() {
    let office = Office::new(Dress::Brother, 3, &[Oddity::PagesPerJob(1)]);
    let output = office.world.scan("One");
    assert!(output.status.success(), "{}", words(&output));
    office.world.expect_one_document();
    let document = &office.world.stage.delivered().expect("the destination")[0];
    assert_eq!(document::media_boxes(document).expect("boxes").len(), 3);
}

#[test]
fn a_page_that_is_too_large_is_to_be_scanned_with_less() {
    let office = Office::new(Dress::Hp, 3, &[]);
    office.sim.set_oddities(&[Oddity::Huge(2)]);
    let output = office.world.scan("Huge");
    assert_eq!(output.status.code(), Some(6), "{}", words(&output));
    expect_words(
        &output,
        "page 2 is too large (more than 255 MiB); finish this job or discard it, then scan page 2 and \
         what follows with a lower resolution (`--dpi`) or in gray",
    );
    assert!(!words(&output).contains("put page"), "{}", words(&output));
}

#[test]
fn a_page_in_doubt_can_be_scanned_again() {
    let office = Office::new(Dress::Hp, 3, &[]);
    office
        .sim
        .set_oddities(&[Oddity::EmptyOnce(2), Oddity::NoJobs]);
    let output = office.world.scan("Doubt");
    assert_eq!(output.status.code(), Some(6), "{}", words(&output));
    expect_words(
        &output,
        "Page 3 is the sheet after page 2: it came out last, or is the next in the feeder. Page 2 is \
         in doubt; it is sealed and cannot be shown here. To be sure, put back all that came out \
         after page 1 and scan page 2 again",
    );
    let job = &office.job()[..8];
    expect_words(
        &output,
        &format!("scan page 2 again: scantrip jobs continue {job} --again 2"),
    );
    // Whoever comes later is told too.
    let shown = office.world.agent(&["jobs", "show", job]);
    expect_words(&shown, "Page 2 is in doubt");
    expect_words(&shown, &format!("jobs continue {job} --again 2"));
    let refused = office.continued(&["--again", "1"]);
    expect_words(
        &refused,
        "only the last page can be scanned again; it is page 2",
    );
    // Asked for while there is no paper, and once more: page 1 stays.
    office.faults("empty");
    let refused = office.continued(&["--again", "2"]);
    assert_eq!(refused.status.code(), Some(6), "{}", words(&refused));
    expect_words(
        &refused,
        "page 2 is taken back and not saved any more: put its sheet back and go on",
    );
    office.faults("");
    let output = office.continued(&["--again", "2"]);
    assert!(output.status.success(), "{}", words(&output));
    let document = &office.world.stage.delivered().expect("the destination")[0];
    let boxes = document::media_boxes(document).expect("media boxes");
    assert_eq!(
        boxes.len(),
        2,
        "page 1, and the sheet in the feeder for page 2"
    );
}
