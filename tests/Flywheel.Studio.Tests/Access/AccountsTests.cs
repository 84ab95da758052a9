using CsCheck;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Testing;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Access;

/// <summary>People in the record: how they come in, sign in and are kept out, on a clock that the test moves.</summary>
public sealed class AccountsTests : IAsyncLifetime
{
    private const string Password = "plum lantern quay";

    private readonly TempFolder _folder = new();
    private readonly MovedClock _clock = new();
    private FlywheelStore _store = null!;
    private Accounts _accounts = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""), _clock);
        _accounts = new Accounts(_store, _clock);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Password_IsKeptAsIdentitysHashAlone()
    {
        AccountRow ann = await JoinAsync("ann");
        // Read by the framework's own hasher, as an oracle from outside: version 3 of the format, PBKDF2 with HMAC-SHA512, 100,000 rounds.
        byte[] hash = Convert.FromBase64String(ann.PasswordHash);
        Assert.Equal((1, 0, 0, 0, 2), (hash[0], hash[1], hash[2], hash[3], hash[4]));
        Assert.Equal(PasswordVerificationResult.Success, new PasswordHasher<string>().VerifyHashedPassword("", ann.PasswordHash, Password));
        await using FlywheelDb db = _store.Tables();
        Assert.DoesNotContain(await db.Audit.ToListAsync(),
            row => $"{row.Who} {row.Whom} {row.About}".Contains(Password, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Invitation_UsedExpiredOrTakenBack_OpensNothing()
    {
        // nobody could mend what they may not do
        Assert.Equal("owner-first", (await Assert.ThrowsAsync<AccountException>(() => _accounts.InviteAsync(AccountRole.Viewer))).Code);
        await JoinAsync("owner");
        (InvitationRow row, string token) = await _accounts.InviteAsync(AccountRole.Editor, "Ann Lee");
        Assert.Equal(43, token.Length); // 256 bits
        await using (FlywheelDb db = _store.Tables()) Assert.Equal(0, await db.Invitations.CountAsync(one => one.Hash == token));
        Assert.Equal(row.Id, (await _accounts.OpenAsync(token))!.Value.Invitation.Id);
        foreach (string wrong in new[] { "", token[..^1], token + "A", token.ToUpperInvariant(), row.Hash, $"{row.Id}" })
            Assert.Null(await _accounts.OpenAsync(wrong));

        AccountRow ann = await _accounts.AcceptAsync(token, "ann", "Ann Lee", Password);
        Assert.Equal((AccountRole.Editor, ann.Id.ToString()), (ann.Role, ann.User));
        await RefusedAsync("no-link", () => _accounts.AcceptAsync(token, "ben", "Ben", Password)); // replayed

        (_, string late) = await _accounts.InviteAsync(AccountRole.Viewer);
        _clock.Now += Accounts.InvitationLives;
        Assert.Null(await _accounts.OpenAsync(late));
        await RefusedAsync("no-link", () => _accounts.AcceptAsync(late, "ben", "Ben", Password));

        (InvitationRow taken, string gone) = await _accounts.InviteAsync(AccountRole.Owner);
        await _accounts.RevokeInvitationAsync(taken.Id);
        await RefusedAsync("no-link", () => _accounts.AcceptAsync(gone, "ben", "Ben", Password));
        await RefusedAsync("no-link", () => _accounts.RevokeInvitationAsync(taken.Id));
        Assert.Equal(2, (await _accounts.ListAsync()).Count);
        Assert.Empty(await _accounts.InvitationsAsync());
    }

    /// <summary>Two servers of one record start at once, and each prints a link; two browsers open one link at once.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FirstLinks_RacingForTheFirstAccount_MakeOneOwner(bool postgres)
    {
        if (postgres)
        {
            await _store.DisposeAsync();
            _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["shared"],
                await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync()), _clock);
            _accounts = new Accounts(_store, _clock);
        }
        string older = (await _accounts.InviteFirstAsync())!;
        string[] links =
            await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ => (await new Accounts(_store, _clock).InviteFirstAsync())!));
        Assert.NotNull(await _accounts.OpenAsync(older)); // an earlier start's, say
        bool[] made = await Task.WhenAll(links.Concat(links).Select(async (link, i) =>
        {
            try
            {
                await new Accounts(_store, _clock).AcceptAsync(link, $"owner{i}", "Owner", Password);
                return true;
            }
            catch (AccountException e)
            {
                Assert.Equal("no-link", e.Code);
                return false;
            }
        }));
        Assert.Equal(1, made.Count(done => done));
        Assert.Equal(AccountRole.Owner, Assert.Single(await _accounts.ListAsync()).Role);
        Assert.Null(await _accounts.InviteFirstAsync());
        Assert.Null(await _accounts.OpenAsync(older));
    }

    [Fact]
    public async Task Guesses_ManyAtOnce_CloseTheAccountAfterFive()
    {
        AccountRow ann = await JoinAsync("ann");
        AccountRow?[] guesses = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => _accounts.SignInAsync("ann", $"wrong password {i}")));
        Assert.All(guesses, Assert.Null);
        Assert.Null(await _accounts.SignInAsync("ANN ", Password)); // closed, also for who knows it
        await RefusedAsync("wrong-password", () => _accounts.ChangePasswordAsync(ann.Id, Password, "another long password"));
        Assert.Single(await _store.AuditAsync(100, act: AuditAct.Locked, user: ann.User));
        _clock.Now += Accounts.Lockout - TimeSpan.FromSeconds(1);
        Assert.Null(await _accounts.SignInAsync("ann", Password));
        _clock.Now += TimeSpan.FromSeconds(1);
        Assert.NotNull(await _accounts.SignInAsync("ANN ", Password));
        for (int round = 0; round < 3; round++) // a right one begins the count anew
        {
            for (int i = 1; i < Accounts.MaxGuesses; i++) Assert.Null(await _accounts.SignInAsync("ann", "wrong"));
            Assert.NotNull(await _accounts.SignInAsync("ann", Password));
        }
        Assert.Null(await _accounts.SignInAsync("nobody", Password));
        Assert.Null(await _accounts.SignInAsync("ann", new string('x', 100_000)));
    }

    [Fact]
    public async Task LastOwner_CannotBeDemotedOrDisabled()
    {
        AccountRow ann = await JoinAsync("ann", AccountRole.Owner), ben = await JoinAsync("ben");
        await RefusedAsync("last-owner", () => _accounts.SetRoleAsync(ann.Id, AccountRole.Editor));
        await RefusedAsync("last-owner", () => _accounts.DisableAsync(ann.Id));
        await _accounts.SetRoleAsync(ben.Id, AccountRole.Owner);
        // Two owners who demote each other at once: one stays.
        await Task.WhenAll(new[] { ann.Id, ben.Id }.Select(async id =>
        {
            try
            {
                await new Accounts(_store, _clock).SetRoleAsync(id, AccountRole.Viewer);
            }
            catch (AccountException e)
            {
                Assert.Equal("last-owner", e.Code);
            }
        }));
        Assert.Single(await _accounts.ListAsync(), row => row.Role == AccountRole.Owner);
    }

    [Fact]
    public async Task Disabled_OpensNothingNorAReset_UntilEnabled()
    {
        await JoinAsync("ann", AccountRole.Owner);
        AccountRow ben = await JoinAsync("ben");
        (_, string reset) = await _accounts.ResetAsync(ben.Id);
        AccountRow off = await _accounts.DisableAsync(ben.Id);
        Assert.NotEqual(ben.Stamp, off.Stamp);
        Assert.Null(await _accounts.SignInAsync("ben", Password));
        Assert.Null(await _accounts.OpenAsync(reset));
        await RefusedAsync("disabled", () => _accounts.ResetAsync(ben.Id));
        await _accounts.EnableAsync(ben.Id);
        Assert.NotNull(await _accounts.SignInAsync("ben", Password));
        await RefusedAsync("no-link", () => _accounts.AcceptAsync(reset, "ignored", "ignored", "a password of today")); // made before
        (_, reset) = await _accounts.ResetAsync(ben.Id);
        AccountRow again = await _accounts.AcceptAsync(reset, "ignored", "ignored", "a password of today");
        Assert.Equal((ben.Id, "ben"), (again.Id, again.Name));
        Assert.NotEqual(off.Stamp, again.Stamp);
        Assert.Null(await _accounts.SignInAsync("ben", Password));
        Assert.NotNull(await _accounts.SignInAsync("ben", "a password of today"));
    }

    [Fact]
    public async Task Links_OfAnOwnerWhoIsNoneAnyMore_OpenNothing()
    {
        AccountRow ann = await JoinAsync("ann"), cat = await JoinAsync("cat");
        foreach (Func<Guid, Task> end in new Func<Guid, Task>[]
        {
            id => _accounts.SetRoleAsync(id, AccountRole.Editor), id => _accounts.DisableAsync(id),
            async id => await new Forget(_store, time: _clock).RunAsync((await _accounts.FindAsync(id))!.User),
        })
        {
            AccountRow ben = await JoinAsync($"ben{Guid.NewGuid():N}", AccountRole.Owner);
            (_, string others) = await As(ann, () => _accounts.InviteAsync(AccountRole.Viewer));
            (_, string invitation) = await As(ben, () => _accounts.InviteAsync(AccountRole.Owner));
            (_, string reset) = await As(ben, () => _accounts.ResetAsync(cat.Id));
            await end(ben.Id);
            foreach (string link in new[] { invitation, reset })
                await RefusedAsync("no-link", () => _accounts.AcceptAsync(link, "dan", "Dan", "a password of today"));
            Assert.NotNull(await _accounts.OpenAsync(others));
        }

        static async Task<T> As<T>(AccountRow who, Func<Task<T>> act)
        {
            Actor.Is(who.User); // for this call alone
            return await act();
        }
    }

    [Fact]
    public async Task Resets_OncePasswordIsSet_OpenNothing()
    {
        AccountRow ann = await JoinAsync("ann"), ben = await JoinAsync("ben");
        (_, string first) = await _accounts.ResetAsync(ann.Id);
        (_, string second) = await _accounts.ResetAsync(ann.Id);
        (_, string third) = await _accounts.ResetAsync(ben.Id);
        await _accounts.AcceptAsync(second, "", "", "a password of today");
        Assert.Null(await _accounts.OpenAsync(first));
        Assert.NotNull(await _accounts.OpenAsync(third));
        await _accounts.ChangePasswordAsync(ben.Id, Password, "a password of today");
        Assert.Null(await _accounts.OpenAsync(third));
    }

    [Fact]
    public async Task ChangePassword_ToOneThatWillNotDo_IsNoGuess()
    {
        AccountRow ann = await JoinAsync("ann");
        foreach (string unfit in Enumerable.Repeat(new[] { "short", "ann likes plums" }, Accounts.MaxGuesses).SelectMany(both => both))
            await RefusedAsync(unfit.Length < 12 ? "PasswordTooShort" : "PasswordHasName",
                () => _accounts.ChangePasswordAsync(ann.Id, Password, unfit));
        Assert.NotNull(await _accounts.SignInAsync("ann", Password));
    }

    [Fact]
    public async Task Set_OneHalfRefused_ChangesAndNotesNothing()
    {
        AccountRow ann = await JoinAsync("ann"), ben = await JoinAsync("ben");
        await RefusedAsync("last-owner", () => _accounts.SetAsync(ann.Id, AccountRole.Owner, disabled: true));
        Assert.Empty(await _store.AuditAsync(100, act: AuditAct.Role));
        AccountRow off = await _accounts.SetAsync(ben.Id, AccountRole.Viewer, disabled: true);
        Assert.Equal((AccountRole.Viewer, true), (off.Role, off.Disabled is not null));
        Assert.Equal([AuditAct.Disable, AuditAct.Role], (await _store.AuditAsync(2)).Select(row => row.Act));
    }

    [Fact]
    public async Task PersonName_SignInNameOrRecordedOrBoth_MeansOneOrIsRefused()
    {
        AccountRow ann = await JoinAsync("ann");
        foreach ((string typed, string person) in new[] { ("ann", ann.User), ("ANN", ann.User), (ann.User, ann.User), ("ben", "ben"),
            ("recorded:ann", "ann") })
            Assert.Equal(person, await PersonName.ResolveAsync(_store, typed, "--user"));
        await _store.AddFeedbackAsync(new FeedbackInput(Guid.NewGuid(), Metrics.Comment, "of an application's ann", "ann"));
        string message = (await Assert.ThrowsAsync<FlywheelException>(() => PersonName.ResolveAsync(_store, "ann", "--user"))).Message;
        Assert.All(new[] { "--user is 'ann'", $"'{ann.User}'", "'recorded:ann'" },
            part => Assert.Contains(part, message, StringComparison.Ordinal));
        Assert.Equal("ann", await PersonName.ResolveAsync(_store, "recorded:ann", "--user"));
    }

    [Fact]
    public async Task Forget_OnlyOwnerOfOthers_IsRefused()
    {
        AccountRow ann = await JoinAsync("ann"), ben = await JoinAsync("ben");
        var job = new ForgetJob(_store, new JobQueue(_store, _clock), _clock);
        foreach (Func<Task> act in new Func<Task>[] { () => job.EnqueueAsync(ann.User),
            () => new Forget(_store, time: _clock).RunAsync(ann.User) })
            Assert.Contains("the only owner", (await Assert.ThrowsAsync<FlywheelException>(act)).Message, StringComparison.Ordinal);
        Assert.Equal(2, (await _accounts.ListAsync()).Count);
        await _accounts.SetRoleAsync(ben.Id, AccountRole.Owner);
        await new Forget(_store, time: _clock).RunAsync(ann.User);
        await job.EnqueueAsync(ben.User); // nobody else is there
        await new Forget(_store, time: _clock).RunAsync(ben.User);
        Assert.False(await _accounts.AnyAsync());
    }

    [Theory]
    [InlineData("ann", "Ann", "short", "PasswordTooShort")]
    [InlineData("ann", "Ann", "aaaaaaaaaaaaaaaa", "PasswordRequiresUniqueChars")]
    [InlineData("annlee", "Ann", "my AnnLee password", "PasswordHasName")]
    [InlineData("ann lee", "Ann", Password, "InvalidUserName")]
    [InlineData("<script>", "Ann", Password, "InvalidUserName")]
    [InlineData("", "Ann", Password, "name")]
    [InlineData("ann", "", Password, "display-name")]
    [InlineData("ann", "Ann\u202Eeel", Password, "display-name")]
    [InlineData("ann", "Ann\nLee", Password, "display-name")]
    [InlineData("BEN", "Ann", Password, "DuplicateUserName")]
    public async Task Accept_WhatWillNotDo_SaysWhyAndLeavesTheLink(string name, string display, string password, string code)
    {
        await JoinAsync("ben");
        (_, string token) = await _accounts.InviteAsync(AccountRole.Editor);
        await RefusedAsync(code, () => _accounts.AcceptAsync(token, name, display, password));
        Assert.NotNull(await _accounts.OpenAsync(token));
        Assert.Single(await _accounts.ListAsync());
    }

    /// <summary>Any texts either make one account or are refused by name; nothing else is thrown, and no two people get one name.</summary>
    [Fact]
    public async Task Accept_AnyTexts_MakeOneAccountOrNone()
    {
        await JoinAsync("owner");
        var texts = Gen.OneOf(Gen.String[0, 70], Gen.String[Gen.Char['a', 'c'], 1, 2],
            Gen.OneOf([.. new[] { "ann", "ANN", "'; DROP TABLE account; --", "Ánn", "\u200B", "a\0b", "ﬀ", "ıi" }.Select(Gen.Const)]));
        await Gen.Select(texts, texts, Gen.OneOf(texts, Gen.Const(Password))).SampleAsync(async (name, display, password) =>
        {
            (_, string token) = await _accounts.InviteAsync(AccountRole.Viewer);
            int before = (await _accounts.ListAsync()).Count;
            try
            {
                AccountRow made = await _accounts.AcceptAsync(token, name, display, password);
                Assert.Equal(before + 1, (await _accounts.ListAsync()).Count);
                Assert.Equal(made.Id, (await _accounts.GetAsync(name.Trim())).Id);
            }
            catch (AccountException)
            {
                Assert.Equal(before, (await _accounts.ListAsync()).Count);
                await _accounts.RevokeInvitationAsync((await _accounts.OpenAsync(token))!.Value.Invitation.Id);
            }
        }, iter: 30, threads: 1);
        IReadOnlyList<AccountRow> all = await _accounts.ListAsync();
        Assert.Equal(all.Count, all.Select(row => row.NormalizedName).Distinct().Count());
    }

    /// <summary>What a person takes along is what is recorded of them, and nothing of anybody else.</summary>
    [Fact]
    public async Task Export_OfAPerson_HoldsTheirRowsAndNoSecret()
    {
        AccountRow ann = await JoinAsync("ann"), ben = await JoinAsync("ben");
        (KeyRow key, string secret) = await new ApiKeys(_store, _clock).CreateAsync("ann's laptop", [Scopes.Inference], ann.User);
        await using (FlywheelDb db = _store.Tables())
        {
            foreach ((string user, string text) in new[] { (ann.User, "mine"), (ben.User, "theirs") })
            {
                var document = new DocumentRow { Id = Guid.NewGuid(), User = user, App = "write", Kind = "brief", Title = text,
                    Created = _clock.Now, Updated = _clock.Now, Version = 1 };
                db.Documents.Add(document);
                db.DocumentVersions.Add(new DocumentVersion { DocumentId = document.Id, Number = 1, Time = _clock.Now, User = user,
                    Body = $"{text}\nin two lines" });
            }
            await db.SaveChangesAsync();
        }
        await _store.AddFeedbackAsync(new FeedbackInput(Guid.NewGuid(), Metrics.Comment, "mine, too", ann.User));
        await _store.AddFeedbackAsync(new FeedbackInput(Guid.NewGuid(), Metrics.Comment, "theirs, too", ben.User));
        using var file = new MemoryStream();
        await ArchiveExport.WriteAsync(_store, ann.User, file);
        using var zip = new System.IO.Compression.ZipArchive(file);
        Dictionary<string, string> texts = zip.Entries.ToDictionary(entry => entry.Name,
            entry => new StreamReader(entry.Open()).ReadToEnd());
        Assert.Equal(14, texts.Count);
        foreach (string text in texts.Values)
            Assert.All(text.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => System.Text.Json.JsonDocument.Parse(line));
        Assert.Contains("in two lines", Assert.Single(texts["document-versions.jsonl"].TrimEnd('\n').Split('\n')),
            StringComparison.Ordinal);
        Assert.Contains("mine, too", Assert.Single(texts["feedback.jsonl"].TrimEnd('\n').Split('\n')), StringComparison.Ordinal);
        Assert.Contains("ann's laptop", System.Text.RegularExpressions.Regex.Unescape(texts["keys.jsonl"]), StringComparison.Ordinal);
        string all = string.Concat(texts.Values);
        foreach (string foreign in new[] { "theirs", ben.User, secret, key.Hash, ann.PasswordHash, ann.Stamp })
            Assert.DoesNotContain(foreign, all, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forget_Person_TakesTheAccountAndTheirNameOutOfTheAudit()
    {
        AccountRow ann = await JoinAsync("ann", AccountRole.Owner), ben = await JoinAsync("ben");
        await new ApiKeys(_store, _clock).CreateAsync("ben's laptop", [Scopes.Inference], ben.User);
        await _accounts.ResetAsync(ben.Id);
        await new Forget(_store, time: _clock).RunAsync(ben.User);
        Assert.Equal(ann.Id, Assert.Single(await _accounts.ListAsync()).Id);
        Assert.Empty(await _accounts.InvitationsAsync());
        Assert.DoesNotContain(await _store.AuditAsync(1000),
            row => $"{row.Who} {row.Whom} {row.About}".Contains(ben.User, StringComparison.Ordinal)
                || row.About.Contains("ben", StringComparison.Ordinal));
        Assert.Contains(await _store.AuditAsync(1000), row => row.Act == AuditAct.Forget);
    }

    private async Task<AccountRow> JoinAsync(string name, AccountRole? wanted = null)
    {
        AccountRole role = wanted ?? (await _accounts.AnyAsync() ? AccountRole.Editor : AccountRole.Owner);
        (_, string token) = await _accounts.InviteAsync(role);
        return await _accounts.AcceptAsync(token, name, name, Password);
    }

    private static async Task RefusedAsync(string code, Func<Task> act) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<AccountException>(act)).Code);

    private sealed class MovedClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 11, 2, 9, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
