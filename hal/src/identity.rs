//! Who the device says it is.

use heapless::String;

/// Vendor, model, serial number and firmware of the MFP, as its maker wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// The maker, for example `Konica Minolta` (PWG 5110.1 VendorName).
    pub vendor: String<48>,
    /// The model, for example `bizhub C360i` (PWG 5110.1 MachineTypeModel).
    pub model: String<64>,
    /// The serial number; with the vendor it names the device for good.
    pub serial: String<48>,
    /// The firmware's version as text (PWG 5110.1 FirmwareStringVersion).
    pub firmware: String<48>,
}

/// Reads the device's identity.
pub trait IdentitySource: Send {
    /// The identity, read once at start.
    fn identity(&self) -> DeviceIdentity;
}
