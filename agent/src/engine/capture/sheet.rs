//! The sheet that was scanned last: what of it is scanned again, and how a person finds it.

use scantrip_hal::scanner::{DocumentFormat, InputSource, ScannerErrorKind, Side};

use super::job::Job;
use super::words;
use crate::api::Refusal;
use crate::engine::fields::invalid;

impl Job {
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn next_page(&self) -> u32 {
        self.count().saturating_add(1)
    }

    /// Feeding has stopped in mid-stack; the number of the page that must be fed again. With both
    /// sides, that is a front: a back alone cannot be fed.
    pub(super) fn break_off(&mut self) -> u32 {
        let duplex = self.settings.is_some_and(|settings| settings.duplex);
        let half = self.pages.last().filter(|_| duplex && self.fed % 2 == 1);
        self.again = half.map(|page| page.object).into_iter().collect();
        self.next_page() - u32::from(!self.again.is_empty())
    }

    /// After a power cut: the number of a front that was saved last, and whose back was to come. How
    /// many sides are in a PDF is not known.
    pub(super) fn half_sheet(&self) -> Option<u32> {
        let with_backs = self.as_before().duplex == Some(true);
        let last = self.pages.last().filter(|_| with_backs)?;
        let is_half =
            last.side == Side::Front && last.images == 1 && last.format != DocumentFormat::Pdf;
        is_half.then(|| self.count())
    }

    /// After a restart: the page in doubt, this object, has gone, for its sheet was to be scanned again.
    pub(super) fn doubt_is_gone(&mut self, object: u32) {
        let last = self.pages.last().map_or(0, |page| page.object);
        if object <= last {
            return;
        }
        let with_backs = self.as_before().duplex == Some(true);
        let is_half = self.half_sheet().is_some() && last.checked_add(1) == Some(object);
        self.front_left = is_half.then_some(last);
        self.taken_back = Some(self.count() + 1 + u32::from(with_backs && !is_half));
    }

    /// Marks the last page for a person to look at; its number and that of the last page before its
    /// sheet. None when that page is scanned again anyway.
    pub(super) fn doubt_last(&mut self) -> Option<(u32, u32)> {
        self.pages.last_mut()?.doubtful = true;
        let page = self.count();
        let sides = u32::try_from(self.last_sheet().len()).ok()?;
        self.again
            .is_empty()
            .then_some((page, page.saturating_sub(sides)))
    }

    /// The objects of the sheet whose side is the last page, front before back; they have followed
    /// each other in the scanner.
    fn last_sheet(&self) -> Vec<u32> {
        match self.pages.as_slice() {
            [.., front, back]
                if (front.side, back.side) == (Side::Front, Side::Back)
                    && front.object.checked_add(1) == Some(back.object) =>
            {
                vec![front.object, back.object]
            }
            [.., page] => vec![page.object],
            [] => Vec::new(),
        }
    }

    /// Lets the sheet of `page`, the last, be scanned again. Asked for twice it is the same: no page
    /// before it is touched.
    pub(super) fn take_back(&mut self, page: u32) -> Result<(), Refusal> {
        let count = self.count();
        if page > count && self.taken_back == Some(page) {
            self.again.extend(self.front_left.take());
            return Ok(());
        }
        if page > count || count == 0 {
            return Err(invalid(format!(
                "there is no page {page} to scan again; the job has {count}. To add pages, go on \
                 without scanning one again"
            )));
        }
        if page < count {
            let message = format!("only the last page can be scanned again; it is page {count}");
            return Err(invalid(message));
        }
        let newest = self.pages.iter().map(|page| page.object).max();
        if self.pages.last().map(|page| page.object) != newest {
            let message = format!(
                "page {page} was put last and is not the one that was scanned last; delete it and \
                 scan it as a new page"
            );
            return Err(invalid(message));
        }
        if self.again.is_empty() {
            self.again = self.last_sheet();
        }
        (self.taken_back, self.front_left) = (Some(page), None);
        Ok(())
    }

    /// What is to be taken back next, where it stands and its object: a back before its front, so that
    /// what a power cut leaves is a front, which is seen to lack its back.
    pub(super) fn next_to_take_back(&mut self) -> Option<(usize, u32)> {
        while let Some(object) = self.again.last().copied() {
            match self.pages.iter().position(|page| page.object == object) {
                Some(index) => return Some((index, object)),
                None => self.again.pop(),
            };
        }
        None
    }

    /// The page there is taken back or deleted.
    pub(super) fn remove(&mut self, index: usize) {
        if index < self.pages.len() {
            let page = self.pages.remove(index);
            self.again.retain(|object| *object != page.object);
        }
    }

    /// What is to be said when nothing is scanned after all: a page that was taken back is not saved
    /// any more.
    pub(super) fn gone(&self) -> Option<String> {
        let page = self.taken_back.filter(|page| *page > self.count())?;
        Some(words::gone(page))
    }

    /// Which sheet page `page` is; nothing of the glass.
    pub(super) fn which(&self, kind: ScannerErrorKind, page: u32) -> String {
        let settings = self.settings;
        match settings.is_some_and(|settings| settings.source == InputSource::Adf) {
            true => words::which(kind, page, &self.place(page)),
            false => String::new(),
        }
    }

    /// In a stack of sheets with two sides, where `page` is in it.
    pub(super) fn place(&self, page: u32) -> String {
        let side = if page % 2 == 1 { "front" } else { "back" };
        match self.is_duplex() {
            true => format!(" ({side} of sheet {})", page.div_ceil(2)),
            false => String::new(),
        }
    }

    /// Whether every page is a side of a sheet that was scanned on both.
    fn is_duplex(&self) -> bool {
        let sides = self.pages.iter().map(|page| page.side);
        let both = [Side::Front, Side::Back].into_iter().cycle();
        self.settings.is_some_and(|settings| settings.duplex)
            && sides.zip(both).all(|(a, b)| a == b)
    }
}
