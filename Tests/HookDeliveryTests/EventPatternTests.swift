import Testing
@testable import HookDelivery
