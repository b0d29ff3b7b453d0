//! From the wish to a job on the device.

use super::super::status::{AdfState, JobState, State as DeviceState, Status};
use super::fault::{Fault, JAM_WITHOUT_PAPER, NO_PAPER, PERHAPS_NO_PAPER, of_feeder};
use super::{Answer, BUSY_TRIES, Done, Job, LATER, State, later};
use crate::scanner::ScannerErrorKind;

impl Job {
    pub(super) fn checked(&mut self, tries: u32, answer: Answer) {
        let status = match answer {
            Answer::Status(status) => {
                self.status_works = true;
                status
            }
            // It may say no more than that while it warms up.
            Answer::Code(503, after) if tries < BUSY_TRIES => {
                self.wait = Some(later(after));
                self.state = State::Checking { tries: tries + 1 };
                return;
            }
            Answer::Code(code @ (401 | 403 | 503), _) => return self.refuse(refusal(code)),
            // A device without a status, or with one that cannot be read, says nothing against a job.
            Answer::Code(..) | Answer::NoPage(..) => Status::default(),
            Answer::Failed(why) => {
                return self.refuse(Fault::new(ScannerErrorKind::Offline, why));
            }
            _ => Status::default(),
        };
        let feeder = status.adf.as_ref().filter(|_| !self.glass());
        // Some devices turn an empty feeder into a jam when a job starts (Canon MF410).
        if feeder == Some(&AdfState::Empty) {
            return self.refuse(Fault::new(ScannerErrorKind::FeederEmpty, NO_PAPER));
        }
        self.felt_paper = feeder == Some(&AdfState::Loaded);
        // What a person was told of before may be mended and still told (HP): try. So may be a jam
        // that was none.
        let was_empty = self.told == Some(ScannerErrorKind::FeederEmpty);
        if let Some(fault) = feeder.and_then(of_feeder)
            && Some(fault.kind) != self.told
            && !(was_empty && feeder == Some(&AdfState::Jam))
            && fault.kind != ScannerErrorKind::DuplexSize
        {
            return self.refuse(fault);
        }
        let ready = match status.state {
            DeviceState::Idle => true,
            DeviceState::Stopped => tries >= 2,
            DeviceState::Processing | DeviceState::Testing | DeviceState::Down => false,
        };
        self.before = status.jobs.into_iter().map(|job| job.path).collect();
        if ready {
            self.state = State::Creating { tries: 0 };
        } else if tries < BUSY_TRIES {
            self.wait = Some(LATER);
            self.state = State::Checking { tries: tries + 1 };
        } else if status.state == DeviceState::Down {
            let fault = Fault::new(ScannerErrorKind::Offline, "the scanner is out of service");
            self.refuse(fault);
        } else {
            self.refuse(busy());
        }
    }

    pub(super) fn created(&mut self, tries: u32, answer: Answer) {
        let most = match answer {
            Answer::Code(503, _) => BUSY_TRIES,
            // It may still tidy up after the job before.
            Answer::Code(409, _) if self.earlier > 0 => 3,
            _ => 0,
        };
        match answer {
            Answer::Created(path) => self.opened(path),
            Answer::Code(_, after) if tries < most => {
                self.wait = Some(later(after));
                self.state = State::Creating { tries: tries + 1 };
            }
            Answer::Code(503, _) => self.refuse(busy()),
            // Black and white is the one thing that devices offer and refuse, and not after they have
            // taken it.
            Answer::Code(409, _) if self.tickets.len() > 1 && self.earlier == 0 => {
                log::info!("escl: no black and white; gray is asked for");
                self.tickets.pop();
                self.state = State::Creating { tries };
            }
            Answer::Code(code @ (409 | 500..), _) => {
                let why = format!("the scanner refuses the job (HTTP {code})");
                self.state = State::Finding { code, why };
            }
            Answer::Code(code, _) => self.refuse(refusal(code)),
            // Perhaps it has the job all the same.
            Answer::Failed(why) | Answer::NoPage(why, _) => {
                self.state = State::Finding { code: 0, why };
            }
            _ => self.refuse(Fault::new(
                ScannerErrorKind::Protocol,
                "a strange answer to a job",
            )),
        }
    }

    /// The answer to the new job was lost, or was no: the status may say why.
    pub(super) fn found(&mut self, code: u16, why: String, answer: Answer) {
        let status = match answer {
            Answer::Status(status) => status,
            _ if code != 0 => Status::default(),
            _ => {
                let finding = State::Finding {
                    code,
                    why: why.clone(),
                };
                if !self.again(3, finding) {
                    self.refuse(Fault::new(ScannerErrorKind::Offline, why));
                }
                return;
            }
        };
        if code == 0 {
            let mut fresh = status.jobs.iter().filter(|job| {
                let runs = matches!(job.state, Some(JobState::Pending | JobState::Processing));
                runs && !job.path.is_empty() && !self.before.contains(&job.path)
            });
            if let (Some(job), None) = (fresh.next(), fresh.next()) {
                return self.opened(job.path.clone());
            }
            return self.refuse(Fault::new(ScannerErrorKind::Offline, why));
        }
        let feeder = status.adf.as_ref().filter(|_| !self.glass());
        let fault = match feeder {
            Some(AdfState::Empty) => Fault::new(ScannerErrorKind::FeederEmpty, NO_PAPER),
            // Nothing was stuck before, nothing has moved, and no paper was felt.
            Some(AdfState::Jam)
                if code == 409 && self.told.is_none() && !self.felt_paper && self.earlier == 0 =>
            {
                Fault::new(ScannerErrorKind::FeederEmpty, JAM_WITHOUT_PAPER)
            }
            feeder => feeder
                .and_then(of_feeder)
                .unwrap_or_else(|| match (code, status.state) {
                    (_, DeviceState::Processing | DeviceState::Testing) => busy(),
                    // The settings have just been taken, or are within what it offers: it is the
                    // state of the feeder.
                    (409, _)
                        if self.earlier > 0
                            || !self.glass() && status.adf != Some(AdfState::Loaded) =>
                    {
                        Fault::new(ScannerErrorKind::FeederEmpty, PERHAPS_NO_PAPER)
                    }
                    (409, _) => Fault::new(
                        ScannerErrorKind::Unsupported,
                        "the scanner does not take these settings",
                    ),
                    _ => Fault::new(ScannerErrorKind::Offline, why),
                }),
        };
        self.refuse(fault);
    }

    fn opened(&mut self, path: String) {
        self.path = path;
        self.state = State::Open;
        self.outcome = Ok(Done::Started);
        // A page is waited for.
        if self.earlier > 0 {
            self.load();
        }
    }

    /// No job has begun.
    fn refuse(&mut self, fault: Fault) {
        self.outcome = self.at_the_end(Err(fault));
        self.state = State::Over;
    }
}

fn busy() -> Fault {
    Fault::new(ScannerErrorKind::Busy, "another job holds the scanner")
}

/// What a status code means where none of eSCL's fits.
pub(super) fn refusal(code: u16) -> Fault {
    use ScannerErrorKind as Kind;
    let (kind, message) = match code {
        401 | 403 => (
            Kind::Protocol,
            "it asks for a password; allow scanning from the network",
        ),
        404 | 405 => (
            Kind::Offline,
            "no eSCL there; turn eSCL (AirPrint) scanning on at its panel",
        ),
        400 => (
            Kind::Unsupported,
            "the scanner does not understand the settings",
        ),
        503 => return busy(),
        _ => return Fault::new(Kind::Protocol, format!("the scanner answers HTTP {code}")),
    };
    Fault::new(kind, message)
}
