using System.Text;
using System.Xml.Linq;
using Flywheel.Loop;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Access;

/// <summary>What cookies are sealed with, among the record's secrets: who signed in at one server is signed in at the others.</summary>
internal sealed class SharedCookieKeys(FlywheelStore store) : IXmlRepository
{
    private const string Prefix = "cookies/";

    public IReadOnlyCollection<XElement> GetAllElements()
    {
        using FlywheelDb db = store.AllTables();
        return [.. db.Secrets.AsNoTracking().Where(row => row.Name.StartsWith(Prefix)).Select(row => row.Value).ToList()
            .Select(value => XElement.Parse(Encoding.UTF8.GetString(value)))];
    }

    public void StoreElement(XElement element, string friendlyName)
    {
        using FlywheelDb db = store.AllTables();
        db.Secrets.Add(new SecretRow
        {
            Name = $"{Prefix}{friendlyName}", Value = Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting)),
            Created = DateTimeOffset.UtcNow,
        });
        db.SaveChanges();
    }
}
