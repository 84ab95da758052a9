using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Apps.Write.Bulk;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>Ids that follow from what they are of lie in records: what they were they stay.</summary>
public sealed class HashedIdTests
{
    /// <summary>The expected ones are of Python's hashlib and uuid.</summary>
    [Fact]
    public void Of_WhatIsInRecords_IsAsItWas()
    {
        var id = Guid.Parse("0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b");
        Assert.Equal("f9eeb52c-9bc4-8ee5-a0ba-93468b923172", HashedId.Of("Käse").ToString());
        Assert.Equal("1825a9da-5cfc-89d6-ae7a-d30611083aed", VoiceRecord.SpokenId("ann", new string('a', 64)).ToString());
        Assert.Equal("7b7d421a-60b7-84b1-a70b-c595f1705561", BulkBriefs.RowId(id, 3).ToString());
        Assert.Equal("0c23e3ce-e832-87f2-990c-1268d13f3ff8",
            ArchiveText.DerivedId(new ArchiveTarget("ann"), id, "said", 1).ToString());
    }
}
