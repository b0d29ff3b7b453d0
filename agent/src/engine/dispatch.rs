//! From what each machine wants to what is to be done, and on which lane.

use super::{
    Action, Call, Engine, Keep, Lane, Token, capture, identity, outbox, refused, report, session,
};
use crate::api::Reply;
use crate::engine::failure::Failure;
use crate::engine::moment::Moment;
use crate::store::OutcomeCursor;

impl Engine {
    pub(super) fn poll_capture(&mut self, now: &Moment) -> bool {
        let Some(action) = self.capture.poll_action() else {
            return false;
        };
        let opened_at = now.wall.as_millis();
        match action {
            capture::Action::Scan(scan) => self.out.push_back(Action::Scan(scan)),
            capture::Action::Reply(token, reply) => self.reply(token, reply),
            capture::Action::Tell(job, event) => self.out.push_back(Action::Tell(job, event)),
            capture::Action::Opened(job) => self.outbox.handle_opened(job, opened_at),
            capture::Action::PageSaved(job) => self.outbox.handle_page_saved(job),
            capture::Action::Sealed { job, with_intent } => {
                self.outbox.handle_sealed(job, opened_at, with_intent);
            }
            capture::Action::Discard(job, token) => self.outbox.handle_discard(job, token),
            capture::Action::Refused(event) => {
                self.out.push_back(Action::Keep(Keep::Event(event)));
                self.report.handle_change(now);
            }
        }
        true
    }

    pub(super) fn poll_identity(&mut self, now: &Moment) -> bool {
        let free = self.online && (self.calls_free || self.transfers_free);
        let Some(action) = self.identity.poll_action(now, free) else {
            return false;
        };
        let call = match action {
            identity::Action::Switch { identity, forget } => {
                self.out
                    .push_back(Action::Keep(Keep::Switch(identity, forget)));
                self.report.handle_change(now);
                return true;
            }
            identity::Action::Enroll {
                slot,
                code,
                only_device,
            } => Call::Enroll {
                slot,
                code,
                only_device,
            },
            identity::Action::Renew { slot } => Call::Renew { slot },
            identity::Action::Prove { slot } => Call::Prove { slot },
        };
        let lane = if self.calls_free {
            Lane::Calls
        } else {
            Lane::Transfers
        };
        self.call(lane, self.session.url(), call);
        true
    }

    pub(super) fn poll_session(&mut self, now: &Moment) -> bool {
        if !self.usable && !self.identity.is_recovering(now) {
            self.session.handle_hopeless(&self.no_certificate());
        }
        let calls = self.online && self.calls_free;
        let transfers = self.online && self.transfers_free;
        let Some(action) = self.session.poll_action(now, calls, transfers) else {
            return false;
        };
        match action {
            session::Action::Measure { url } => self.call(Lane::Calls, url, Call::Measure),
            session::Action::Poll {
                url,
                etag,
                hold_seconds,
            } => {
                let hurried = !self.calls_free;
                let lane = if hurried {
                    Lane::Transfers
                } else {
                    Lane::Calls
                };
                let call = Call::Poll {
                    etag,
                    hold_seconds,
                    hurried,
                };
                self.call(lane, url, call);
            }
            session::Action::KeepChoice(choice) => {
                self.out.push_back(Action::Keep(Keep::Choice(choice)));
            }
            session::Action::KeepDesired(desired) => {
                self.out
                    .push_back(Action::Keep(Keep::Desired(Box::new(desired))));
            }
            session::Action::Synced(token, result) => self.synced(now, token, result),
        }
        true
    }

    /// Why there is no certificate to poll with.
    fn no_certificate(&self) -> Failure {
        Failure::local(match &self.last_error {
            Some((error, _)) => format!("the device's certificate has ended: {error}"),
            None => "the device's certificate has ended; enroll again with a new code".to_owned(),
        })
    }

    fn synced(&mut self, now: &Moment, token: Token, result: Result<(), Failure>) {
        let waiting = self.waiting.iter().position(|scan| scan.token == token);
        if let Some(index) = waiting {
            let scan = self.waiting.swap_remove(index);
            return match result {
                _ if scan.is_cancelled => self.reply(token, Err(capture::stopped())),
                Err(failure) if self.recipient.is_none() => {
                    self.reply(token, Err(refused(failure)));
                }
                _ => self.plan(now, token, scan.fresh, scan.request),
            };
        }
        let reply = result.map(|()| Reply::Done).map_err(refused);
        self.reply(token, reply);
    }

    pub(super) fn poll_report(&mut self, now: &Moment) -> bool {
        match self.report.poll_action(now, self.may_report()) {
            Some(report::Action::Keep(cursor)) => {
                self.out.push_back(Action::Keep(Keep::Report(cursor)));
            }
            Some(report::Action::Look) => self.call(Lane::Calls, self.session.url(), Call::Look),
            Some(report::Action::Send {
                sequence,
                dropped,
                epoch,
                known_settings,
            }) => {
                let health = self.health(now);
                let call = Call::Report {
                    sequence,
                    dropped,
                    epoch,
                    known_settings,
                    health,
                };
                self.call(Lane::Calls, self.session.url(), call);
            }
            None => return false,
        }
        true
    }

    pub(super) fn poll_outbox(&mut self, now: &Moment) -> bool {
        let Some(action) = self.outbox.poll_action(now, self.may_transfer()) else {
            return false;
        };
        let keep = match action {
            outbox::Action::Call(call) => {
                self.call(Lane::Transfers, self.session.url(), Call::Outbox(call));
                return true;
            }
            outbox::Action::Tell(job, event) => {
                self.out.push_back(Action::Tell(job, event));
                return true;
            }
            outbox::Action::Reply(token, reply) => {
                self.reply(token, reply);
                return true;
            }
            outbox::Action::Alarm(message) => {
                log::error!("outbox: {message}");
                self.note(now, message);
                return true;
            }
            outbox::Action::Note(job, state) => Keep::Job(job, state),
            outbox::Action::KeepReceipt { job, receipt, head } => {
                Keep::Receipt(job, Box::new(receipt), head)
            }
            outbox::Action::KeepHead(head) => Keep::Head(head),
            outbox::Action::Erase(job) => Keep::Erase(job),
            outbox::Action::KeepCursor(seq) => Keep::Outcome(OutcomeCursor { seq }),
        };
        self.out.push_back(Action::Keep(keep));
        true
    }
}
