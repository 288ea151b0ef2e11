//! Which way up: lines (0/180°) and pages (0/90/180/270°).
